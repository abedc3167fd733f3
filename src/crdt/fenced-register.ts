/**
 * Copies of a value whose original stands in a guard, outside the replicas.
 *
 * Meaning: among all copies that were ever published, the one of the latest lineage, and in that of the
 * highest version of its guard. Neither clocks nor dots decide: the guard numbers its writes, one after
 * the other, and a copy is only made of what was committed. So a copy that comes late, or is published
 * again by somebody who read it, changes nothing, and every replica ends at the last commit.
 *
 * Who publishes replaces only what is older than what it has. Cells that were written concurrently stay
 * beside each other until then, and the reader takes the newest.
 */
import { type DataType, stampedShape } from "./data-type.ts";

/** What every escalating collection may say of its guards. */
export interface GuardedTypeOptions {
  /**
   * Accepts a backend whose fences do not survive a restart, or are advisory: the invariant then holds only
   * as long as the store forgets nothing. Default false: such a backend is refused at opening.
   */
  readonly weakFence?: boolean;
}

/** How long results of idempotency keys are kept. */
export interface IdempotencyOptions {
  /** In ms. Default 86,400,000 (a day). */
  readonly idempotencyWindowMs?: number;
}

/** A register of one JSON value, every write of which passes the fence. */
export interface FencedRegisterType<V = unknown> extends DataType {
  readonly kind: "fenced-register";
  /** Never set; carries the value type. */
  readonly value?: V;
  readonly weakFence: boolean;
  readonly idempotencyWindowMs: number;
}

/** The default of every `idempotencyWindowMs`. */
export const defaultIdempotencyWindowMs: number = 24 * 60 * 60 * 1_000;

/** Declares a collection of fenced registers. */
export const fencedRegister = <V = unknown>({
  weakFence = false,
  idempotencyWindowMs = defaultIdempotencyWindowMs,
}: GuardedTypeOptions & IdempotencyOptions = {}): FencedRegisterType<V> => ({
  kind: "fenced-register",
  tag: "fenced-register/1",
  shape: stampedShape,
  ...{ weakFence, idempotencyWindowMs },
});

/** Where a copy stands in the order of all copies of its guard. */
export interface CopyOrder {
  /** Grows when an operator adopts a store that was wiped or set back. */
  readonly lineage: number;
  /** The guard's version within the lineage. */
  readonly version: number;
}

/** Whether `left` is of a later commit than `right`. */
export const isNewer = (left: CopyOrder, right: CopyOrder): boolean =>
  left.lineage === right.lineage ? left.version > right.version : left.lineage > right.lineage;
