/**
 * A counter that stays within its bounds, cluster-wide, though most changes are local.
 *
 * Meaning: `initial` and the sum of what all holders have created, less the sum of what they have spent.
 * A holder is one directory, or one run of a replica in memory. Its figures only grow and only it moves
 * them, so of two cells of one holder the larger figures are the later ones, whichever actor wrote them:
 * publishing them again, after a crash, under another actor, counts nothing twice.
 *
 * What may be spent is not decided here but by rights (`escalate/escrow.ts`). A replica may see a spend
 * before the creation that it rests on, so what is shown is kept within the bounds.
 *
 * @see O'Neil 1986, "The Escrow transactional method"; Balegas et al. 2015, "Extending eventually
 * consistent cloud databases for enforcing numeric invariants"
 */
import { type DataType, stampedShape } from "./data-type.ts";
import {
  defaultIdempotencyWindowMs,
  type GuardedTypeOptions,
  type IdempotencyOptions,
} from "./fenced-register.ts";

/** What must always hold, and where it begins. Safe integers, `min <= initial <= max`. */
export interface Bounds {
  readonly min: number;
  readonly max?: number;
  /** Of a key that nobody has used yet. Default `min`. */
  readonly initial?: number;
}

/** A collection of bounded counters. */
export interface BoundedCounterType extends DataType {
  readonly kind: "bounded-counter";
  readonly min: number;
  readonly max: number | undefined;
  readonly initial: number;
  readonly weakFence: boolean;
  readonly idempotencyWindowMs: number;
}

/** Declares a collection of counters that are never below `min`, nor above `max` if there is one. */
export function boundedCounter(
  options: Bounds & GuardedTypeOptions & IdempotencyOptions,
): BoundedCounterType {
  const { min, max, initial = min, weakFence = false } = options;
  const { idempotencyWindowMs = defaultIdempotencyWindowMs } = options;
  return {
    kind: "bounded-counter",
    // Replicas that disagree about the bounds must not meet in one collection.
    tag: `bounded-counter/1${JSON.stringify([min, max ?? null, initial])}`,
    shape: { kind: "items", names: "string", item: stampedShape },
    ...{ min, max, initial, weakFence, idempotencyWindowMs },
  };
}

/** What a holder has done, all told. Each figure only grows. */
export interface Figures {
  /** By increments. */
  readonly created: number;
  /** By decrements. */
  readonly spent: number;
}

/** The later of each figure: the join of two cells of one holder. */
export const joinFigures = (left: Figures, right: Figures): Figures => ({
  created: Math.max(left.created, right.created),
  spent: Math.max(left.spent, right.spent),
});
