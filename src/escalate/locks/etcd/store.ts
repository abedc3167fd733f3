/**
 * Guards in etcd, and the transactions on them. For each resource there are
 *
 *   guard/R        the record: value, version, the latest operation ids; moves with every write
 *   fence/R        who opened it last; the revision at which that was is the token
 *   line/R/NONCE   one key for each who holds or waits, under a session; the first one to be created holds
 *   gone/R/NONCE   one who left while its request for a key was under way, under the same session
 *
 * Every step is one transaction. Opening puts the fence only if no other key was created before one's own;
 * a commit needs the fence at that very revision, one's own key, and the record where it was. So a stale
 * holder is refused twice: its key is gone, and the fence has moved. Revisions grow over the whole cluster
 * and through restarts, and so do tokens.
 */
import type { Environment } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import type { Reborn } from "../../fence/authority.ts";
import { type Fence, type GuardRecord, untouched } from "../../fence/guard.ts";
import { decodeGuard, encodeGuard } from "../../fence/guard-codec.ts";
import type { Change, Changed, ComparingStore, Found, FoundAll } from "../../fence/optimistic.ts";
import { type Gateway, isRefusal } from "./gateway.ts";
import { EtcdNames } from "./names.ts";
import {
  bodyOf,
  compare,
  field,
  type Json,
  type KeyValue,
  step,
  type StepReply,
  type Transaction,
  transactionReply,
  type TransactionReply,
} from "./wire.ts";

const birthBytes = 16;

/** Where and what it is. */
export interface EtcdStoreOptions {
  readonly gateway: Gateway;
  readonly environment: Environment;
  readonly prefix: string;
  /** The cluster must have so many members. */
  readonly membersMin: number;
}

/** The records of one prefix in one cluster. */
export class EtcdStore implements ComparingStore {
  readonly names: EtcdNames;
  readonly #gateway: Gateway;
  readonly #environment: Environment;
  readonly #membersMin: number;
  #isChecked = false;
  #birth: Promise<string> | undefined;
  /** The largest revision that was seen. */
  #revision = 0n;

  constructor({ gateway, environment, prefix, membersMin }: EtcdStoreOptions) {
    this.#gateway = gateway;
    this.#environment = environment;
    this.names = new EtcdNames(prefix);
    this.#membersMin = membersMin;
  }

  /** Asked once by all who ask at the same time. */
  birth(): Promise<string> {
    this.#birth ??= this.#askBirth().finally(() => (this.#birth = undefined));
    return this.#birth;
  }

  async find(
    birth: string,
    asked: readonly Pick<Change, "resource" | "fence">[],
  ): Promise<FoundAll | Reborn> {
    const reply = await this.transact({
      compare: [this.isBorn(birth)],
      success: this.#looks(asked),
      failure: [this.birthStep],
    });
    if (!reply.succeeded) return reborn(reply.steps[0]);
    return this.#foundAll(asked, reply.steps);
  }

  async change(birth: string, changes: readonly Change[]): Promise<Changed> {
    const conditions = changes.flatMap(({ resource, fence, stamp }) => {
      const { guard, line } = this.namesOf(resource);
      const isUnmoved = compare.modified(guard, stamp);
      return fence
        ? [isUnmoved, ...this.isInstalled(resource, fence)]
        : [isUnmoved, compare.created({ below: line }, "EQUAL", 0n)];
    });
    const written = changes.flatMap(({ resource, record }) =>
      record ? [step.put(this.names.guard(resource), stored(record, birth))] : [],
    );
    const fences = changes.map(({ resource }) => step.get(this.names.fence(resource)));
    const reply = await this.transact({
      compare: [this.isBorn(birth), ...conditions],
      success: [...fences, ...written],
      failure: [this.birthStep, ...this.#looks(changes)],
    });
    if (reply.succeeded) {
      const tokens = changes.map((_, i) => reply.steps[i]?.found[0]?.modified ?? 0n);
      return { kind: "changed", stamps: changes.map(() => reply.revision), tokens };
    }
    const [born, ...looks] = reply.steps;
    if (textOf(only(born)) !== birth) return reborn(born);
    return this.#foundAll(changes, looks);
  }

  async #askBirth(): Promise<string> {
    await this.#check();
    const key = this.names.birth;
    const drawn = Buffer.from(this.#environment.randomBytes(birthBytes)).toString("hex");
    const reply = await this.transact({
      compare: [compare.created({ key }, "EQUAL", 0n)],
      success: [step.put(key, drawn)],
      failure: [step.get(key)],
    });
    return reply.succeeded ? drawn : textOf(only(reply.steps[0]));
  }

  async transact(transaction: Transaction): Promise<TransactionReply> {
    const known = this.#revision;
    const answer = await this.#gateway.ask("/v3/kv/txn", bodyOf(transaction));
    if (isRefusal(answer)) throw refused(answer.refused);
    return this.accepted(answer, known);
  }

  accepted(answer: unknown, known = 0n): TransactionReply {
    const reply = transactionReply(answer);
    if (reply.revision < known) {
      throw refused(`etcd is at revision ${reply.revision} and was at ${known}: it was set back`);
    }
    if (reply.revision > this.#revision) this.#revision = reply.revision;
    return reply;
  }

  namesOf(resource: string): { guard: string; fence: string; line: string } {
    const names = this.names;
    return {
      guard: names.guard(resource),
      fence: names.fence(resource),
      line: names.line(resource),
    };
  }

  isBorn(birth: string | undefined): Json {
    return compare.value(this.names.birth, birth ?? "");
  }

  get birthStep(): Json {
    return step.get(this.names.birth);
  }

  isInstalled(resource: string, { token, nonce }: Fence): readonly Json[] {
    return [
      compare.modified(this.names.fence(resource), token),
      compare.created({ key: this.names.line(resource, nonce) }, "GREATER", 0n),
    ];
  }

  /** What is asked about each resource: the record, the fence, the key of who holds. */
  #looks(asked: readonly Pick<Change, "resource" | "fence">[]): readonly Json[] {
    return asked.flatMap(({ resource }) => {
      const { guard, fence, line } = this.namesOf(resource);
      return [step.get(guard), step.get(fence), step.edge(line, "first")];
    });
  }

  #foundAll(
    asked: readonly Pick<Change, "resource" | "fence">[],
    steps: readonly StepReply[],
  ): FoundAll {
    const found = asked.map(({ resource }, i) => {
      const [guard, fence, first] = steps.slice(3 * i, 3 * i + 3);
      return this.found(resource, guard, fence, only(first));
    });
    return { kind: "found", found };
  }

  /** The record, with the fence that is installed if somebody is in the line. */
  found(
    resource: string,
    guard: StepReply | undefined,
    fence: StepReply | undefined,
    first?: KeyValue,
  ): Found {
    const kept = only(guard);
    const record = kept ? decodeGuard(kept.value, this.names.guard(resource)) : untouched;
    const installed = only(fence);
    const token = installed?.modified ?? record.token;
    const { value, version, operations } = record;
    const isOpen = first?.key === this.names.line(resource, textOf(installed));
    // Who is the first and has not opened yet holds too: nobody may come in between.
    const nonce = isOpen ? textOf(installed) : "";
    const holder = first && { token, nonce, untilMs: Number.POSITIVE_INFINITY, endMs: 0 };
    return {
      stamp: kept?.modified ?? 0n,
      record: { value, version, operations, token, holder },
    };
  }

  /** Once: that the cluster is what `guarantees` says. */
  async #check(): Promise<void> {
    if (this.#isChecked || this.#membersMin <= 1) return;
    const answer = await this.#gateway.ask("/v3/cluster/member/list", {});
    if (isRefusal(answer)) throw refused(answer.refused);
    const members = field(answer, "members");
    const count = Array.isArray(members)
      ? members.filter((one) => field(one, "isLearner") !== true).length
      : 0;
    if (count < this.#membersMin) {
      throw refused(`this etcd has ${count} voting members; ${this.#membersMin} hosts were named`);
    }
    this.#isChecked = true;
  }
}

export const only = (reply: StepReply | undefined): KeyValue | undefined => reply?.found[0];

export const textOf = (kv: KeyValue | undefined): string =>
  kv ? Buffer.from(kv.value).toString() : "";

/** The store that a client knew is not there any more. */
export const reborn = (birth: StepReply | undefined): Reborn => {
  return { kind: "reborn", birth: textOf(only(birth)) || "nobody" };
};

const stored = ({ value, version, token, operations }: GuardRecord, birth: string): Uint8Array =>
  encodeGuard({ birth, value, version, token, operations, nonce: undefined });

export const refused = (why: string): LockUnavailableError =>
  new LockUnavailableError(why, { backend: "etcd" });
