/** Guards in one Redis: each call is one script. */
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
  ResourceRequest,
  WriteReply,
} from "../../fence/authority.ts";
import { integerMax, integerMin } from "../../fence/guard.ts";
import { claimMs } from "../../fence/guard-table.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import { RedisReply } from "./reply.ts";
import { redisScripts } from "./scripts.ts";
import type { RedisTurns } from "./turns.ts";

/** Those in line ask again after this long at most, in case that word of their turn was lost, in ms. */
const askMsMax = 2_000;
/** And this much apart, the first of the line first. */
const askApartMs = 40;
/** In place of no end: 31 years, in ms. */
const endlessMs = 1e12;

const micros = (ms: number): string => Math.ceil(ms * 1_000).toFixed(0);
const claimUs = micros(claimMs);

/** Beyond this no sum of two integers of 64 bits is one: the script need not know larger ones. */
const byMax = 2n ** 64n;
const clamp = (integer: bigint, least: bigint, most: bigint): string => {
  if (integer < least) return `${least}`;
  return `${integer > most ? most : integer}`;
};

/** What the authority is made of. */
export interface RedisAuthorityParts {
  readonly keys: RedisKeys;
  readonly connection: RedisConnection;
  readonly turns: RedisTurns;
  /** Random: the birth of a store that has none. */
  readonly newBirth: string;
}

/** Asks one Redis. */
export class RedisAuthority implements Authority {
  readonly #keys: RedisKeys;
  readonly #connection: RedisConnection;
  readonly #turns: RedisTurns;
  readonly #newBirth: string;

  constructor({ keys, connection, turns, newBirth }: RedisAuthorityParts) {
    this.#keys = keys;
    this.#connection = connection;
    this.#turns = turns;
    this.#newBirth = newBirth;
  }

  async birth(): Promise<string> {
    const { birth } = this.#keys;
    const reply = await this.#connection.run(redisScripts.birth, [birth], [this.#newBirth]);
    return new RedisReply([reply]).text();
  }

  async open(request: OpenRequest): Promise<OpenReply | Reborn> {
    const { birth = "", resource, nonce, ttlMs, maxHoldMs = endlessMs, waitMs } = request;
    if (waitMs > 0) {
      await this.#turns.ready();
      this.#turns.stand(nonce);
    }
    const times = [micros(ttlMs), micros(maxHoldMs), micros(waitMs), claimUs];
    const reply = await this.#run("open", resource, [birth, nonce, ...times, this.#turns.channel]);
    const kind = reply.text();
    if (kind === "reborn") return { kind, birth: reply.text() };
    if (kind === "full") return { kind };
    if (kind === "held") {
      const [place, leftMs] = [reply.number(), reply.number()];
      const askMs = Math.min(Math.max(0, leftMs), askMsMax) + askApartMs * (place + 1);
      return { kind, place, leftMs: askMs };
    }
    this.#turns.leave(nonce);
    expectKind(kind, "opened");
    const present = presentIn(reply);
    return { kind: "opened", token: present.token, present };
  }

  turn({ nonce }: NonceRequest): Promise<void> {
    return this.#turns.turn(nonce);
  }

  async cancel({ birth = "", resource, nonce }: NonceRequest): Promise<void> {
    this.#turns.leave(nonce);
    await this.#connection.run(redisScripts.cancel, this.#keys.lined(resource), [
      birth,
      nonce,
      claimUs,
    ]);
  }

  async renew({ birth = "", resource, fence, ttlMs }: RenewRequest): Promise<boolean> {
    const args = [birth, fence.nonce, `${fence.token}`, micros(ttlMs)];
    const reply = await this.#connection.run(redisScripts.renew, this.#keys.lined(resource), args);
    return reply === 1;
  }

  async read({
    birth = "",
    resource,
  }: ResourceRequest): Promise<{ readonly kind: "present"; readonly present: Present } | Reborn> {
    const reply = await this.#run("read", resource, [birth]);
    const kind = reply.text();
    if (kind === "reborn") return { kind, birth: reply.text() };
    expectKind(kind, "present");
    return { kind: "present", present: presentIn(reply) };
  }

  async commit({ birth = "", parts, operationId }: CommitRequest): Promise<CommitReply> {
    const keys = [this.#keys.birth, ...parts.map(({ resource }) => this.#keys.guard(resource))];
    const args: (string | Uint8Array)[] = [birth, operationId];
    for (const { fence, version, value } of parts) {
      args.push(`${fence.token}`, fence.nonce, `${version}`, value ? "1" : "0", value ?? "");
    }
    const answer = await this.#connection.run(redisScripts.commit, keys, args);
    const reply = new RedisReply(answer);
    const kind = reply.text();
    if (kind !== "committed") return refusedIn(reply, kind);
    return { kind, versions: parts.map(() => reply.bigint()) };
  }

  async compareAndSet(request: CompareAndSetRequest): Promise<WriteReply> {
    const { birth = "", resource, expected, value, operationId } = request;
    const args = [birth, operationId, `${expected}`, value, claimUs];
    const reply = await this.#run("compareAndSet", resource, args);
    const kind = reply.text();
    if (kind === "written") return { kind, version: reply.bigint(), token: reply.bigint() };
    const refused = refusedIn(reply, kind);
    return refused.kind === "moved" ? { ...refused, present: presentIn(reply) } : refused;
  }

  async operate(request: OperateRequest): Promise<OperateReply> {
    const { birth = "", resource, operation, operationId, since } = request;
    const reply = await this.#run("operate", resource, [
      ...[birth, operationId, `${since}`, claimUs, operation.kind],
      ...operandsOf(operation),
    ]);
    const kind = reply.text();
    if (kind === "no-integer") return { kind };
    if (kind === "forgotten") return { kind, version: reply.bigint() };
    if (kind !== "operated") return refusedIn(reply, kind);
    const isApplied = reply.number() === 1;
    const version = reply.bigint();
    const value = reply.bytes();
    return { kind, applied: isApplied, present: { value, version, token: reply.bigint() } };
  }

  async #run(
    name: "open" | "read" | "compareAndSet" | "operate",
    resource: string,
    args: readonly (string | Uint8Array)[],
  ): Promise<RedisReply> {
    const keys = this.#keys.lined(resource);
    return new RedisReply(await this.#connection.run(redisScripts[name], keys, args));
  }
}

function operandsOf(operation: OperateRequest["operation"]): readonly (string | Uint8Array)[] {
  if (operation.kind === "set-if-absent") return [operation.value];
  const { by, min = integerMin, max = integerMax } = operation;
  return [
    clamp(by, -byMax, byMax),
    min < integerMin ? `${integerMin}` : `${min}`,
    max > integerMax ? `${integerMax}` : `${max}`,
  ];
}

const expectKind = (kind: string, expected: string): void => {
  if (kind !== expected) throw new Error(`Redis answered ${kind}, which is not known here`);
};

function presentIn(reply: RedisReply): Present {
  const [token, version] = [reply.bigint(), reply.bigint()];
  return { token, version, value: reply.bytes() };
}

function refusedIn(reply: RedisReply, kind: string): Refused | Reborn {
  if (kind === "reborn") return { kind, birth: reply.text() };
  if (kind !== "stale" && kind !== "moved" && kind !== "held") {
    throw new Error(`Redis answered ${kind}, which is not known here`);
  }
  const [index, installed] = [reply.number(), reply.bigint()];
  return { kind, index, installed, forgotten: reply.number() === 1 };
}
