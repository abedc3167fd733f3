/**
 * Guards in the tables of a database. Who makes each step atomic? A routine in the database: it locks the
 * row of the guard, decides, writes and commits within one request, so that nobody holds a row while it
 * waits for its client, and a client may be paused anywhere. Here requests become calls of routines, and
 * rows become replies; the routines are beside, one file a dialect.
 */
import type { Environment } from "../../../environment.ts";
import type {
  Authority,
  CommitReply,
  CommitRequest,
  CompareAndSetRequest,
  NonceRequest,
  OpenReply,
  OpenRequest,
  OperateReply,
  OperateRequest,
  Present,
  Reborn,
  Refused,
  RenewRequest,
  Request,
  ResourceRequest,
  WriteReply,
} from "../../fence/authority.ts";
import { emptyValue, integerMax, integerMin } from "../../fence/guard.ts";
import { claimMs, lineMax } from "../../fence/guard-table.ts";
import { keyOf } from "./names.ts";
import { Turns } from "./turns.ts";

/** A value as a database says it: numbers as their digits. */
export type Cell = string | Uint8Array | null;

/** What a routine answers, by the names of columns. */
export type Row = Readonly<Record<string, Cell>>;

/** What a routine takes. Lists are for `commit` alone, all of one length. */
export type Argument = Cell | number | bigint | readonly Cell[] | readonly bigint[];

/** The routines that each dialect has. Each runs as one transaction. */
export type Routine =
  | "birth"
  | "open"
  | "cancel"
  | "renew"
  | "read"
  | "commit"
  | "compare_and_set"
  | "operate";

/** A database, with the tables and routines of one prefix. */
export interface SqlDatabase {
  /** The first row of what the routine answers. */
  call(routine: Routine, args: readonly Argument[]): Promise<Row>;
  /** The nonces of this client whose turn it is. */
  turns(client: string): Promise<readonly string[]>;
  /** How long until `turns` is asked again, in ms, after so many looks in vain. */
  turnsPaceMs(vain: number): number;
  /** Somebody of this client stands in line; `tell` may be called with its nonce when it is its turn. */
  attend(client: string, tell: (nonce: string) => void): void;
  close(): Promise<void>;
}

const birthBytes = 16;
const clientBytes = 8;
/** One who is not first in line is told its turn; in case that it is not, it asks after this, in ms. */
const unaskedMsMax = 10_000;
/** The first asks when the lease of the holder must be over; all others this much apart, in ms. */
const askApartMs = 50;
const expiredMs = 5;

/** The authority over one database. */
export class SqlAuthority implements Authority {
  readonly #database: SqlDatabase;
  readonly #environment: Environment;
  readonly #turns: Turns;
  readonly #client: string;

  constructor(database: SqlDatabase, environment: Environment, name: string) {
    this.#database = database;
    this.#environment = environment;
    this.#client = `${name}_${hex(environment.randomBytes(clientBytes))}`;
    this.#turns = new Turns({
      environment,
      ask: () => database.turns(this.#client),
      paceMs: (vain) => database.turnsPaceMs(vain),
    });
  }

  async birth(): Promise<string> {
    const candidate = hex(this.#environment.randomBytes(birthBytes));
    return text(await this.#database.call("birth", [candidate]), "born");
  }

  async open(request: OpenRequest): Promise<OpenReply | Reborn> {
    const { resource, nonce, ttlMs, maxHoldMs, waitMs } = request;
    this.#turns.forget(nonce);
    const row = await this.#call("open", request, [
      ...[bytes(resource), nonce, this.#client, ttlMs, maxHoldMs ?? null, waitMs],
      ...[claimMs, lineMax],
    ]);
    if (isReborn(row)) return row;
    if (row["kind"] === "full") return { kind: "full" };
    if (row["kind"] === "opened") {
      return { kind: "opened", token: integer(row, "token"), present: presentOf(row) };
    }
    const place = Number(text(row, "place"));
    const leftMs = Math.max(0, Number(text(row, "left_ms")));
    const soonMs = place > 0 ? unaskedMsMax + askApartMs * place : leftMs + expiredMs;
    return { kind: "held", place, leftMs: soonMs };
  }

  async turn({ nonce }: NonceRequest): Promise<void> {
    const told = this.#turns.wait(nonce);
    this.#database.attend(this.#client, (whose) => this.#turns.tell(whose));
    await told;
  }

  async cancel(request: NonceRequest): Promise<void> {
    this.#turns.forget(request.nonce);
    await this.#call("cancel", request, [request.nonce, claimMs]);
  }

  async renew(request: RenewRequest): Promise<boolean> {
    const { fence, ttlMs } = request;
    const row = await this.#call("renew", request, [fence.nonce, fence.token, ttlMs]);
    return row["kind"] === "renewed";
  }

  async read(
    request: ResourceRequest,
  ): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    const row = await this.#call("read", request, []);
    return isReborn(row) ? row : { kind: "present", present: presentOf(row) };
  }

  async commit({ birth, parts, operationId }: CommitRequest): Promise<CommitReply> {
    const row = await this.#answer("commit", { birth }, (known) => [
      parts.map(({ resource }) => keyOf(resource)),
      parts.map(({ fence }) => fence.nonce),
      parts.map(({ fence }) => fence.token),
      parts.map(({ version }) => version),
      parts.map(({ value }) => value ?? null),
      ...[known, bytes(operationId)],
    ]);
    if (isReborn(row)) return row;
    if (row["kind"] !== "committed") return refusedOf(row);
    return { kind: "committed", versions: text(row, "versions").split(",").map(BigInt) };
  }

  async compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    const { resource, expected, value, operationId } = request;
    const row = await this.#call("compare_and_set", request, [
      ...[bytes(resource), expected, value, bytes(operationId), claimMs],
    ]);
    if (isReborn(row)) return row;
    if (row["kind"] === "moved") return { ...refusedOf(row), present: presentOf(row) };
    if (row["kind"] !== "written") return refusedOf(row);
    return { kind: "written", version: integer(row, "version"), token: integer(row, "token") };
  }

  async operate(request: OperateRequest): Promise<OperateReply> {
    const { resource, operation, operationId, since } = request;
    const adds = operation.kind === "add";
    const row = await this.#call("operate", request, [
      ...[bytes(resource), bytes(operationId), since, claimMs],
      adds ? null : operation.value,
      adds ? clamped(operation.by) : 0n,
      adds ? clamped(operation.min ?? integerMin) : 0n,
      adds ? clamped(operation.max ?? integerMax) : 0n,
    ]);
    if (isReborn(row)) return row;
    switch (row["kind"]) {
      case "applied":
      case "kept": {
        const present = { ...presentOf(row), value: value(row) ?? emptyValue };
        return { kind: "operated", applied: row["kind"] === "applied", present };
      }
      case "forgotten":
        return { kind: "forgotten", version: integer(row, "version") };
      case "no-integer":
        return { kind: "no-integer" };
      default:
        return refusedOf(row);
    }
  }

  /** Nobody is woken any more. */
  stop(): void {
    this.#turns.stop();
  }

  /** About one resource. */
  #call(
    routine: Routine,
    request: ResourceRequest,
    args: readonly Argument[],
  ): Promise<Row | Reborn> {
    const key = keyOf(request.resource);
    return this.#answer(routine, request, (birth) => [key, birth, ...args]);
  }

  async #answer(
    routine: Routine,
    { birth }: Request,
    args: (birth: string) => readonly Argument[],
  ): Promise<Row | Reborn> {
    const row = await this.#database.call(routine, args(birth ?? (await this.birth())));
    if (row["kind"] !== "reborn") return row;
    // Empty tables have no birth yet: it is drawn now.
    return { kind: "reborn", birth: text(row, "born") || (await this.birth()) };
  }
}

const hex = (random: Uint8Array): string => Buffer.from(random).toString("hex");

const bytes = (name: string): Uint8Array => Buffer.from(name);

/** Further away than this makes no difference to what fits into 64 bits. */
const farther = 2n ** 65n;

const clamped = (amount: bigint): bigint =>
  amount > farther ? farther : amount < -farther ? -farther : amount;

const isReborn = (row: Row | Reborn): row is Reborn => row["kind"] === "reborn";

function text(row: Row, column: string): string {
  const cell = row[column];
  if (typeof cell === "string") return cell;
  throw new Error(`the database answered no ${column}`);
}

const integer = (row: Row, column: string): bigint => BigInt(text(row, column));

const value = (row: Row): Uint8Array | undefined => {
  const cell = row["value"];
  return cell instanceof Uint8Array ? cell : undefined;
};

const presentOf = (row: Row): Present => ({
  ...{ value: value(row), version: integer(row, "version"), token: integer(row, "token") },
});

function refusedOf(row: Row): Refused {
  const kind = text(row, "kind");
  if (kind !== "stale" && kind !== "moved" && kind !== "held") {
    throw new Error(`the database answered ${kind}`);
  }
  const forgotten = ["t", "1"].includes(text(row, "forgotten"));
  return {
    kind,
    index: Number(text(row, "part")),
    installed: integer(row, "installed"),
    forgotten,
  };
}
