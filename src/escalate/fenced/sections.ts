/**
 * Sections: a function over several fenced values, and one atomic commit of all of them.
 *
 * The leases keep others away while the function runs, in the order of their coming; what makes it right is
 * the commit, which names the fence and the version of every value, also of those that were only read. If
 * any of them was overtaken, nothing at all is written, and the whole is done again on what is there now, as
 * long as `waitMs` allows: the function runs at most once a grant.
 */
import { UsageError } from "../../errors.ts";
import type { Environment } from "../../environment.ts";
import { copyValue, type Json } from "../../store/values.ts";
import type { Telemetry } from "../../telemetry.ts";
import { inOrder } from "../held-locks.ts";
import type { Lease, Section as CommitSection } from "../locks.ts";
import { defaultWaitMs, type NamedLocks } from "../named-locks.ts";
import { commitAttributes, writeSpan } from "../spans.ts";
import { type Earlier, Thrown, untilDecided } from "./attempts.ts";
import { type CallIdentity, type Hash, identify } from "./call-identity.ts";
import { checkedResult, checkFits, keysAreFull, keysBytesMax } from "./checked-result.ts";
import { decodeEnvelope, encodeEnvelope, type Envelope } from "./envelope.ts";
import { type FencedHandle, FencedTarget } from "./fenced-target.ts";
import type { FencedWatch } from "./fenced-watch.ts";
import type { KeyMemory } from "./key-memory.ts";

/** Values in one section. */
export const sectionHandlesMax = 128;
/** Sections are entered after all locks for what is outside: those have lower ranks. */
export const sectionRank = 1_000_000;
/** A lineage is worth more than all tokens that a store grants: those of an adopted store are larger. */
const tokenBitsOfStore = 56n;

/** What the handle of a fenced value says that it holds. */
export type ValueOf<H> = H extends FencedHandle<infer V> ? V : never;

/** What a section's function works with. */
export interface FencedSection<H extends readonly FencedHandle[]> {
  /** The values, in the order of the handles, as of now and frozen; `undefined` for what is absent. */
  readonly values: { readonly [I in keyof H]: ValueOf<H[I]> | undefined };
  /** Larger than that of every earlier section or lock over the value: for what is outside to check. */
  readonly tokens: { readonly [I in keyof H]: bigint };
  /** The same for every repetition under one idempotency key: for what is outside to know it by. */
  readonly operationId: string;
  /** Aborts when others may be in: what is done after that will not be committed. */
  readonly lost: AbortSignal;
  /**
   * Sets a value of the section, or deletes it, when the section commits.
   * @throws InvalidValueError; UsageError for a handle of no value of this section, or after its end.
   */
  readonly set: <V>(handle: FencedHandle<V>, value: NoInfer<V> | undefined) => void;
}

/** How to run a section. */
export interface EscalateOptions {
  /** What a repetition, on whatever replica, is known by: it gets the first result, and runs nothing. */
  readonly idempotencyKey?: string;
  /** How long to wait for the values, in ms; 0 does not. Default 5,000. */
  readonly waitMs?: number;
  /** How long others stay out if this process dies, in ms. Default 10,000. */
  readonly ttlMs?: number;
  /** Gives up waiting; a section that runs is not committed. */
  readonly signal?: AbortSignal;
}

/** What sections need. */
export interface SectionsOptions {
  readonly watch: FencedWatch;
  readonly locks: NamedLocks;
  readonly environment: Environment;
  readonly hash: Hash;
  readonly telemetry: Telemetry;
  /** Whether the backend is known to be away. */
  readonly isAway: () => boolean;
  /** A handle of these values, and not of another replica's. */
  readonly isOurs: (target: FencedTarget) => boolean;
}

/** Runs sections of one replica. */
export class Sections {
  readonly #options: SectionsOptions;

  constructor(options: SectionsOptions) {
    this.#options = options;
  }

  /** See `FencedValues.escalate`. */
  async run<const H extends readonly FencedHandle[], R>(
    handles: H,
    fn: (section: FencedSection<H>) => R | Promise<R>,
    options: EscalateOptions = {},
  ): Promise<R> {
    const { environment, hash, isAway } = this.#options;
    const { idempotencyKey, waitMs = defaultWaitMs, signal } = options;
    const targets = this.#check(handles);
    signal?.throwIfAborted();
    const resources = inOrder(targets.map(({ resource }) => resource));
    const identity = identify({
      ...{ environment, hash, kind: "section", resources, idempotencyKey },
    });
    const first = targets.findIndex(({ resource }) => resource === resources[0]);
    const call: SectionCall = { targets, first, identity, signal };
    const body = fn as (section: FencedSection<readonly FencedHandle[]>) => unknown;
    const result = await untilDecided(
      (leftMs, earlier) =>
        this.#attempt({ ...call, earlier }, body, { ...options, waitMs: leftMs }),
      { environment, waitMs, signal, isKeyed: identity.hash !== undefined, isAway },
    );
    return result as R;
  }

  async #attempt(
    call: SectionCall & { readonly earlier: Earlier },
    body: (section: FencedSection<readonly FencedHandle[]>) => unknown,
    { waitMs, ttlMs, signal }: EscalateOptions,
  ): Promise<Json | undefined> {
    let committed: { readonly result: Json | undefined } | undefined;
    const resources = call.targets.map(({ resource }) => resource);
    try {
      await this.#options.locks.withLocks(
        resources,
        async (leases) => {
          committed = { result: await this.#runUnder(leases, call, body) };
        },
        {
          ...{ rank: sectionRank },
          ...(waitMs === undefined ? {} : { waitMs }),
          ...(ttlMs === undefined ? {} : { ttlMs }),
          ...(signal === undefined ? {} : { signal }),
        },
      );
    } catch (error) {
      // That a lease ran out after the commit changes nothing.
      if (committed === undefined) throw error;
    }
    return committed?.result;
  }

  async #runUnder(
    leases: readonly Lease[],
    { targets, first, identity, signal, earlier }: SectionCall & { readonly earlier: Earlier },
    body: (section: FencedSection<readonly FencedHandle[]>) => unknown,
  ): Promise<Json | undefined> {
    const envelopes = leases.map(({ current, resource }) =>
      decodeEnvelope(current?.value, resource),
    );
    const { watch, environment, telemetry } = this.#options;
    const nowMs = environment.now();
    const memories = envelopes.map(({ memory }, i) =>
      memory.at(nowMs, targets[i]?.collection.idempotencyWindowMs ?? 0),
    );
    if (identity.hash !== undefined) {
      const found = envelopes[first]?.memory.find(identity.hash);
      if (found) {
        const collection = targets[first]?.collection.name ?? "";
        telemetry.count("trellis_fenced_repetitions_total", 1, { collection });
        return found.result;
      }
      // Our fences are installed: what was sent under earlier ones will not be written any more.
      earlier.hadNone();
      const isFull = memories[first]?.isFull(keysBytesMax(watch)) === true;
      if (isFull) throw keysAreFull(targets[first]);
    }
    const open = new OpenSection(targets, { leases, envelopes, identity });
    const result = await open.run(body);
    signal?.throwIfAborted();
    for (const { lost } of leases) lost.throwIfAborted();
    const sections = open.commits(
      (i, envelope) => {
        const memory = memories[i] ?? envelope.memory;
        return i === first ? this.#remembering(memory, identity, result) : memory;
      },
      identity.hash === undefined ? undefined : first,
    );
    checkFits(
      sections.map(({ value }) => value),
      watch,
    );
    const commitId = Buffer.from(environment.randomBytes(12)).toString("hex");
    await writeSpan(telemetry, "trellis.commit", commitAttributes(telemetry, watch, targets), () =>
      watch.commit(sections, commitId),
    );
    telemetry.count("trellis_fenced_sections_total");
    return result;
  }

  #remembering(memory: KeyMemory, { hash }: CallIdentity, result: Json | undefined): KeyMemory {
    if (hash === undefined) return memory;
    return memory.with({ hash, atMs: this.#options.environment.now(), result });
  }

  #check(handles: readonly FencedHandle[]): FencedTarget[] {
    const { watch, isOurs } = this.#options;
    if (!Array.isArray(handles) || handles.length === 0) {
      throw new UsageError("a section is over a list of at least one handle of a fenced value");
    }
    if (handles.length > sectionHandlesMax) {
      throw new UsageError(`a section is over at most ${sectionHandlesMax} values`);
    }
    const targets = handles.map((handle) => targetOf(handle));
    const resources = new Set(targets.map(({ resource }) => resource));
    if (resources.size < targets.length) {
      throw new UsageError("a section names one value twice; nothing was done");
    }
    if (!targets.every(isOurs)) {
      throw new UsageError("a section is over values of one replica; nothing was done");
    }
    const { atomicCommits, commitMax } = watch.guarantees;
    const { resources: most = sectionHandlesMax } = commitMax ?? {};
    if (targets.length > most) {
      throw new UsageError(
        `${watch.name} commits at most ${most} values in one step, not ${targets.length}`,
      );
    }
    if (targets.length > 1 && !atomicCommits) {
      throw new UsageError(
        `${watch.name} cannot commit several values in one step, so a section over several is refused`,
      );
    }
    return targets;
  }
}

interface SectionCall {
  readonly targets: readonly FencedTarget[];
  /** Which of them remembers the key: the first in the order that all agree on. */
  readonly first: number;
  readonly identity: CallIdentity;
  readonly signal: AbortSignal | undefined;
}

function targetOf(handle: unknown): FencedTarget {
  const target = (handle as Partial<FencedHandle> | null | undefined)?.target;
  if (target instanceof FencedTarget) return target;
  throw new UsageError("a section is over handles of fenced registers, as `at` gives them");
}

/** A section while its function runs. */
class OpenSection implements FencedSection<readonly FencedHandle[]> {
  readonly values: readonly unknown[];
  readonly tokens: readonly bigint[];
  readonly #identity: CallIdentity;
  readonly #targets: readonly FencedTarget[];
  readonly #leases: readonly Lease[];
  readonly #envelopes: readonly Envelope[];
  readonly #loss = new AbortController();
  /** What was set, by the places of the handles. */
  readonly #set = new Map<number, Json | undefined>();
  #isOver = false;

  constructor(
    targets: readonly FencedTarget[],
    held: {
      readonly leases: readonly Lease[];
      readonly envelopes: readonly Envelope[];
      readonly identity: CallIdentity;
    },
  ) {
    const { leases, envelopes, identity } = held;
    this.#targets = targets;
    this.#leases = leases;
    this.#envelopes = envelopes;
    this.#identity = identity;
    this.values = Object.freeze(envelopes.map(({ value }) => value));
    this.tokens = Object.freeze(
      leases.map(({ token }, i) => {
        const lineage = BigInt(envelopes[i]?.lineage ?? 1);
        return ((lineage - 1n) << tokenBitsOfStore) + token;
      }),
    );
  }

  get operationId(): string {
    return this.#identity.operationId;
  }

  /** Looking at it looks at the clocks, as with a lease. */
  get lost(): AbortSignal {
    for (const { lost } of this.#leases) if (lost.aborted) this.#loss.abort(lost.reason);
    return this.#loss.signal;
  }

  readonly set = (handle: FencedHandle, value: unknown): void => {
    if (this.#isOver) throw new UsageError("this section is over; nothing was set");
    const target = targetOf(handle);
    const i = this.#targets.findIndex(({ resource }) => resource === target.resource);
    if (i < 0) throw new UsageError(`${target.what} is not in this section; nothing was set`);
    this.#set.set(i, value === undefined ? undefined : copyValue(value));
  };

  /** Runs the function, and gives what it returned as it will be given to repetitions. */
  async run(
    body: (section: FencedSection<readonly FencedHandle[]>) => unknown,
  ): Promise<Json | undefined> {
    const signals = this.#leases.map(({ lost }) => lost);
    const lose = (): void => void this.lost;
    for (const lost of signals) lost.addEventListener("abort", lose, { once: true });
    try {
      return checkedResult(await body(this), "the result of a section");
    } catch (error) {
      throw new Thrown(error);
    } finally {
      this.#isOver = true;
      for (const lost of signals) lost.removeEventListener("abort", lose);
    }
  }

  /** What to commit: what was set, what is only checked, and the guard at `always` in any case. */
  commits(
    memoryOf: (i: number, envelope: Envelope) => KeyMemory,
    always: number | undefined,
  ): CommitSection[] {
    return this.#leases.map((lease, i) => {
      const envelope = this.#envelopes[i];
      if (envelope === undefined || (!this.#set.has(i) && i !== always)) return { lease };
      const value = this.#set.has(i) ? this.#set.get(i) : envelope.value;
      const memory = memoryOf(i, envelope);
      return { lease, value: encodeEnvelope({ ...envelope, value, memory }) };
    });
  }
}
