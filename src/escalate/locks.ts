/**
 * What is a lock good for, if its holder can be paused for longer than the lock lives? Only for
 * keeping others out of the way. What carries correctness is the guard: a record in the store with a
 * value, a version and an installed fence, and one conditional write. Acquiring installs the fence and
 * reads the value in one step; a commit needs that very fence, that very version and an operation id
 * that was not used before. Whoever was overtaken commits nothing, however late it tries, and no clock
 * is asked.
 *
 * A lease is a hint about time on top of that. It keeps compare-and-set of others away while it lives,
 * and it is lost by a deadline of its holder's own, which is measured from before the request was sent,
 * on the larger of the monotonic and the wall clock; no reply is waited for.
 *
 * This file is the port. Its backends are in `locks/`, what they share is in `fence/`, and what waits,
 * renews, combines and gives up is above them, beside this file.
 *
 * @see Gray, Cheriton 1989, "Leases", SOSP
 */

/** A guarded value as it was at one version. */
export interface Guarded {
  /** The bytes that were committed last; none at version 0. Nobody changes them. */
  readonly value: Uint8Array;
  /** Grows by one with each write. 0: nothing was ever written; that is only told of what was checked. */
  readonly version: bigint;
  /** The largest token that was granted up to then; 0 before the first. */
  readonly token: bigint;
}

/** What a backend promises, with the settings that it was given. */
export interface LockGuarantees {
  /**
   * `durable`: tokens and versions survive a restart of the store and the loss of power.
   * `until-restart`: they are lost with the process of the store. `advisory`: they may go back while it runs.
   */
  readonly fencing: "durable" | "until-restart" | "advisory";
  /** Goes on after the loss of one of its machines. */
  readonly faultTolerant: boolean;
  /** Commits over several resources are one atomic step. */
  readonly atomicCommits: boolean;
  /** What one commit may carry, where the store takes less than the port allows, with its usual settings. */
  readonly commitMax?: {
    readonly resources?: number;
    /** Of all its values together. */
    readonly bytes?: number;
  };
  /** Whoever opened it has said that advisory fences may guard invariants. */
  readonly isAdvisoryAccepted?: boolean;
}

/** How to acquire. */
export interface AcquireOptions {
  /** How long the lease lives from one renewal to the next: at least that, in the eyes of the store. */
  readonly ttlMs: number;
  /** The longest that it may be held, renewals and all. Without it, for as long as it is renewed. */
  readonly maxHoldMs?: number;
  /** How long to stand in line; 0 does not. */
  readonly waitMs: number;
  /** Leaves the line, or gives the lease back, and rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** How to read. */
export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/** One resource of a commit. */
export interface Section {
  readonly lease: Lease;
  /** What to write; without it the resource is only checked. */
  readonly value?: Uint8Array;
}

/** What a backend can do by itself in one round trip. */
export type Operation =
  | {
      /** Adds to an integer, kept as its decimal digits; absent counts as 0. */
      readonly kind: "add";
      readonly by: bigint;
      /** The sum must not be below it. */
      readonly min?: bigint;
      /** The sum must not be above it. */
      readonly max?: bigint;
    }
  | { readonly kind: "set-if-absent"; readonly value: Uint8Array };

/** What came of an operation. */
export interface Operated {
  /** False when a bound or a value that was there refused it; nothing was written then. */
  readonly applied: boolean;
  /** The guard after it. */
  readonly guarded: Guarded;
}

/** Operation ids that a resource remembers at least; older ones may be forgotten. */
export const operationsRemembered = 128;

/**
 * A store of guards. It connects on first use; it renews nothing, and it has no line for callers of
 * one process: that is done above it. Every call throws `ClosedError` after it was disposed of.
 */
export interface LockBackend extends AsyncDisposable {
  /** For messages and figures: `memory`, `etcd`. */
  readonly name: string;
  readonly guarantees: LockGuarantees;

  /**
   * Who the store is: drawn at random when its first record is written, the same until it is wiped. From
   * the first answer on, this client refuses a store of another birth, in the same step as the write.
   * @throws LockUnavailableError, StoreRolledBackError
   */
  birth(options?: ReadOptions): Promise<string>;

  /**
   * Stands in line, is granted, installs the fence in the guard and reads it.
   * @throws LockTimeoutError surely not granted; LockUnavailableError it may be held until `ttlMs` from
   * now; OverloadedError the line is full; the reason of `signal`.
   */
  acquire(resource: string, options: AcquireOptions): Promise<Lease>;

  /**
   * The guard as it is now: linearizable. `undefined` if nothing was ever written.
   * @throws LockUnavailableError, the reason of `signal`.
   */
  read(resource: string, options?: ReadOptions): Promise<Guarded | undefined>;

  /**
   * Writes one or several guards in one atomic step: all of them, or nothing. The answer has one entry
   * a section, in order. What is asked again under the same `operationId` gets the same answer and has no
   * second effect, as long as a resource remembers it. A lease that has run out but was not overtaken
   * may still commit on some stores; after its release it does not.
   * @throws StaleTokenError a fence is not the installed one; ConflictError the fences are, but a version
   * moved: nothing was written. UnknownOutcomeError the reply was lost and could not be resolved.
   */
  commit(sections: readonly Section[], operationId: string): Promise<readonly Guarded[]>;

  /**
   * Writes if the version is still the expected one (`undefined`: nothing was ever written). Leaves the
   * fence and the token alone.
   * @throws ConflictError the version moved (`current` says what is there, where the store tells), or a live lease
   * excludes it (`held: true`), found in the same step; nothing was written. UnknownOutcomeError as of `commit`.
   */
  compareAndSet(
    resource: string,
    expectedVersion: bigint | undefined,
    value: Uint8Array,
    operationId: string,
  ): Promise<Guarded>;

  /**
   * Optional: the operation as one step of the store. A live lease excludes it as it does a
   * compare-and-set. What was applied is remembered by its id; what was refused is not, and may be applied
   * when it is asked again.
   * @throws ConflictError with `held: true`; UnknownOutcomeError as of `commit`; UsageError `add` to what is
   * no integer.
   */
  operate?(resource: string, operation: Operation, operationId: string): Promise<Operated>;
}

/** The right to a resource for a while. Disposing releases it and never throws. */
export interface Lease extends AsyncDisposable {
  readonly resource: string;
  /** Larger than that of every earlier lease of this resource. */
  readonly token: bigint;
  /** The guard as this lease opened it. */
  readonly current: Guarded | undefined;
  /**
   * Aborts with a `LeaseLostError`, by a local deadline, before anyone else can hold it. Reading this
   * property looks at the clocks, so the first line after a pause sees the truth. A release does not
   * abort it.
   */
  readonly lost: AbortSignal;
  /**
   * Makes it live for another `ttlMs` from now, within `maxHoldMs`. Never revives one that has ended.
   * @throws LeaseLostError; LockUnavailableError no answer yet: the deadline stays what it was, and it may
   * be tried again; ClosedError it was released.
   */
  renew(): Promise<void>;
  /**
   * Ends it, if it is still this holder's; otherwise nothing changes. Twice is harmless.
   * @throws LockUnavailableError it may be held until it runs out.
   */
  release(): Promise<void>;
}
