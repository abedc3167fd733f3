/** What operations on one fenced value take and give. */
import type { CopyOrder } from "../../crdt/fenced-register.ts";

/** How to wait for a fenced operation. */
export interface FencedOptions {
  /** How long to wait, in ms; 0 does not. Default 5,000. What is under way then is waited for. */
  readonly waitMs?: number;
  /** Rejects with its reason; what is under way then may take effect. */
  readonly signal?: AbortSignal;
}

/** How to update. */
export interface UpdateOptions extends FencedOptions {
  /** What a repetition, on whatever replica, is known by: it gets the first result, and runs nothing. */
  readonly idempotencyKey?: string;
}

/** What a change knows besides the value. */
export interface UpdateContext {
  /** The same for every run of the change, and for every repetition under one idempotency key. */
  readonly operationId: string;
  /**
   * Of which version of the guard the value is; version 0 where nothing was ever written. Undefined if another
   * change comes before this one in the same write.
   */
  readonly version: FencedVersion | undefined;
}

/** Names one commit of a guard: its version within a lineage, which grows when a store is adopted. */
export type FencedVersion = CopyOrder;

/** A value, and which commit it is of. */
export interface Versioned<V> {
  /** Frozen; `undefined` when absent. */
  readonly value: V | undefined;
  readonly version: FencedVersion;
}

/** What has to be there for a value to be replaced: that version, nothing, or anything. */
export type Expected = FencedVersion | "absent" | "present";

/** What came of a replacement. */
export interface Replaced<V> {
  /** What was written; by the first call, if this one repeats it. */
  readonly value: V | undefined;
  /** Its version; undefined for a repetition, or where another change came on top in the same write. */
  readonly version: FencedVersion | undefined;
}

/**
 * Makes the next value of the present one; `undefined` deletes. It may run again on another value. What it waits
 * for is waited for 30 s at most (`WaitTimeoutError`, and nothing is written): others may wait for it.
 */
export type Update<V> = (
  current: V | undefined,
  context: UpdateContext,
) => V | undefined | Promise<V | undefined>;

/** A local copy, and how old it may be. */
export interface Peeked<V> {
  /** Frozen; `undefined` when absent. */
  readonly value: V | undefined;
  /** The guard's version that it is a copy of; 0 when nothing is known. */
  readonly version: number;
  /**
   * It was the latest at this time, in ms since the Unix epoch: when the guard was asked last from here, or
   * when the copy was published by another replica, on its clock. 0 when nothing is known.
   */
  readonly asOfMs: number;
}
