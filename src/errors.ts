/**
 * Every error that Trellis throws, and what each carries.
 *
 * One pattern for all: a class adds a stable `code` and the fields that a caller needs, declared
 * here and assigned by the base class from the second argument. The remedy for each code is in
 * docs/errors.md. Broken invariants inside Trellis are assertions and have no class here.
 */

/** Names an error for good: `TRELLIS_` and the class name in upper snake case without Error. */
export type ErrorCode = `TRELLIS_${string}`;

/** What the second argument of an error's constructor holds: the error's own fields and a cause. */
export type ErrorFields<E extends TrellisError> = Readonly<Omit<E, keyof TrellisError>> &
  ErrorOptions;

/** The base of every error that Trellis throws. */
export abstract class TrellisError extends Error {
  /** Stable over releases; the message is not. */
  abstract readonly code: ErrorCode;

  constructor(message: string, fields: ErrorOptions = {}) {
    super(message, fields);
    // Not enumerable, as on the built-in errors: the fields are what an error prints besides its stack.
    Object.defineProperty(this, "name", { value: new.target.name, configurable: true });
    const { cause: _kept, ...own } = fields;
    Object.assign(this, own);
  }
}

// Wrong use and wrong values: nothing was changed.

/** A call that can never be right: an unknown collection, a wrong type or mode. Nothing was changed. */
export class UsageError extends TrellisError {
  readonly code = "TRELLIS_USAGE";
}

/** A key, element or value that Trellis does not store. Nothing was changed. */
export class InvalidValueError extends TrellisError {
  readonly code = "TRELLIS_INVALID_VALUE";
  /** What is wrong with it. */
  declare readonly reason: string;
  /** Where in the value, such as `$.items[3].price`; absent when the whole of it is meant. */
  declare readonly path?: string;
  constructor(message: string, fields: ErrorFields<InvalidValueError>) {
    super(message, fields);
  }
}

/** A counter would leave the safe integers. Nothing was changed. */
export class CounterRangeError extends TrellisError {
  readonly code = "TRELLIS_COUNTER_RANGE";
  declare readonly collection?: string;
  declare readonly key?: string;
  /** The change that was refused. */
  declare readonly by: number;
  /** The counter's value, which stays. */
  declare readonly value: number;
  constructor(message: string, fields: ErrorFields<CounterRangeError>) {
    super(message, fields);
  }
}

/** The replica, handle or backend is closed. Nothing was changed. */
export class ClosedError extends TrellisError {
  readonly code = "TRELLIS_CLOSED";
}

// Invariants: the operation was refused because it would break one.

/** Nobody in the cluster has the rights that were asked for. Nothing was spent. */
export class InsufficientError extends TrellisError {
  readonly code = "TRELLIS_INSUFFICIENT";
  declare readonly collection: string;
  declare readonly key: string;
  declare readonly requested: number;
  /** What is left between the value and its bound. */
  declare readonly available: number;
  constructor(message: string, fields: ErrorFields<InsufficientError>) {
    super(message, fields);
  }
}

/** Rights exist, but their holders did not give them up in time. Nothing was spent. */
export class RightsUnavailableError extends TrellisError {
  readonly code = "TRELLIS_RIGHTS_UNAVAILABLE";
  declare readonly collection: string;
  declare readonly key: string;
  declare readonly requested: number;
  /** Who holds what, as far as is known here. */
  declare readonly holders: readonly { readonly holder: string; readonly rights: number }[];
  constructor(message: string, fields: ErrorFields<RightsUnavailableError>) {
    super(message, fields);
  }
}

/** The name belongs to somebody else. Nothing was changed. */
export class AlreadyClaimedError extends TrellisError {
  readonly code = "TRELLIS_ALREADY_CLAIMED";
  declare readonly collection: string;
  declare readonly key: string;
  declare readonly owner: string;
  constructor(message: string, fields: ErrorFields<AlreadyClaimedError>) {
    super(message, fields);
  }
}

// Fenced writes and locks.

/** The guarded value moved since it was read, or a live lease excludes the write. Nothing was written. */
export class ConflictError extends TrellisError {
  readonly code = "TRELLIS_CONFLICT";
  declare readonly resource?: string;
  /** True when a live lease excluded the write, whatever the version. */
  declare readonly held?: boolean;
  /** True when so much was written since that an earlier asking of the same operation may have been applied and forgotten. */
  declare readonly forgotten?: boolean;
  /** What a compare-and-set met, where the backend tells: as good as a read in the same step. */
  declare readonly current?: {
    readonly value: Uint8Array;
    readonly version: bigint;
    readonly token: bigint;
  };
  constructor(message: string, fields: ErrorFields<ConflictError> = {}) {
    super(message, fields);
  }
}

/** The lease's fence is no longer the installed one. Nothing was written. */
export class StaleTokenError extends TrellisError {
  readonly code = "TRELLIS_STALE_TOKEN";
  declare readonly resource?: string;
  /** The token that was offered. */
  declare readonly token: bigint;
  /** The token in the guard, where the backend tells; 0 when no fence is installed. */
  declare readonly installed?: bigint;
  /** As of `ConflictError`. */
  declare readonly forgotten?: boolean;
  constructor(message: string, fields: ErrorFields<StaleTokenError>) {
    super(message, fields);
  }
}

/** The lease may have passed to another holder. Nothing was written; run the section again. */
export class LeaseLostError extends TrellisError {
  readonly code = "TRELLIS_LEASE_LOST";
  declare readonly resource: string;
  declare readonly token: bigint;
  constructor(message: string, fields: ErrorFields<LeaseLostError>) {
    super(message, fields);
  }
}

/** The lock was certainly not granted within `waitMs`. */
export class LockTimeoutError extends TrellisError {
  readonly code = "TRELLIS_LOCK_TIMEOUT";
  declare readonly resource: string;
  declare readonly backend?: string;
  declare readonly waitMs?: number;
  constructor(message: string, fields: ErrorFields<LockTimeoutError>) {
    super(message, fields);
  }
}

/** The lock backend did not answer as it should: the lock may be held until its time to live ends. */
export class LockUnavailableError extends TrellisError {
  readonly code = "TRELLIS_LOCK_UNAVAILABLE";
  declare readonly resource?: string;
  declare readonly backend?: string;
  constructor(message: string, fields: ErrorFields<LockUnavailableError> = {}) {
    super(message, fields);
  }
}

/** The reply to a write was lost and could not be recovered: it may have taken effect, once. */
export class UnknownOutcomeError extends TrellisError {
  readonly code = "TRELLIS_UNKNOWN_OUTCOME";
  /** Asking again under this id has no second effect. */
  declare readonly operationId: string;
  constructor(message: string, fields: ErrorFields<UnknownOutcomeError>) {
    super(message, fields);
  }
}

/** The strong store lacks, or is behind, what was seen of it before. Nothing was written. */
export class StoreRolledBackError extends TrellisError {
  readonly code = "TRELLIS_STORE_ROLLED_BACK";
  declare readonly resource?: string;
  constructor(message: string, fields: ErrorFields<StoreRolledBackError> = {}) {
    super(message, fields);
  }
}

// Waiting and load.

/** The time to wait ran out. What was waited for may still come; nothing was undone. */
export class WaitTimeoutError extends TrellisError {
  readonly code = "TRELLIS_WAIT_TIMEOUT";
  declare readonly waitMs: number;
  constructor(message: string, fields: ErrorFields<WaitTimeoutError>) {
    super(message, fields);
  }
}

/** A writer has ended and no known member holds the write that was waited for: it will not come. */
export class VersionLostError extends TrellisError {
  readonly code = "TRELLIS_VERSION_LOST";
  /** The writer that ended. */
  declare readonly actor: string;
  /** The sequence number of the lost write. */
  declare readonly sequence: number;
  constructor(message: string, fields: ErrorFields<VersionLostError>) {
    super(message, fields);
  }
}

/** A named bound is reached. Nothing was changed. */
export class OverloadedError extends TrellisError {
  readonly code = "TRELLIS_OVERLOADED";
  /** When asking again makes sense, where that is known. */
  declare readonly retryAfterMs?: number;
  constructor(message: string, fields: ErrorFields<OverloadedError> = {}) {
    super(message, fields);
  }
}

// Peers.

/** A peer's clock is further from ours than the bound. The link was refused. */
export class ClockSkewError extends TrellisError {
  readonly code = "TRELLIS_CLOCK_SKEW";
  /** The peer's clock less ours. */
  declare readonly skewMs: number;
  declare readonly boundMs: number;
  constructor(message: string, fields: ErrorFields<ClockSkewError>) {
    super(message, fields);
  }
}

/** One collection has two types: here and at a peer, or here and on disk. The link or the opening was refused. */
export class SchemaMismatchError extends TrellisError {
  readonly code = "TRELLIS_SCHEMA_MISMATCH";
  declare readonly collection: string;
  /** The type tag in our schema, such as `or-set/1`. */
  declare readonly ours: string;
  declare readonly theirs: string;
  constructor(message: string, fields: ErrorFields<SchemaMismatchError>) {
    super(message, fields);
  }
}

/** A peer sent what the protocol does not allow. That link was closed and nothing was changed. */
export class ProtocolError extends TrellisError {
  readonly code = "TRELLIS_PROTOCOL";
  /** What was wrong, fit for the close frame of the link. */
  declare readonly reason: string;
  constructor(message: string, fields: ErrorFields<ProtocolError>) {
    super(message, fields);
  }
}

/** The peer did not prove who it is, or we did not. The link was refused. */
export class UnauthorizedError extends TrellisError {
  readonly code = "TRELLIS_UNAUTHORIZED";
}

// Disk.

/** The disk refused: an I/O error, no space, a directory in use. Memory is intact; what failed is not durable. */
export class StorageError extends TrellisError {
  readonly code = "TRELLIS_STORAGE";
  declare readonly path?: string;
  constructor(message: string, fields: ErrorFields<StorageError> = {}) {
    super(message, fields);
  }
}

/** A directory, or a guard of the lock store, holds bytes that were not written so. Nothing was loaded and nothing changed. */
export class CorruptStorageError extends TrellisError {
  readonly code = "TRELLIS_CORRUPT_STORAGE";
  declare readonly path?: string;
  constructor(message: string, fields: ErrorFields<CorruptStorageError> = {}) {
    super(message, fields);
  }
}
