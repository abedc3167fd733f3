/** What operations on one fenced value take and give. */

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
