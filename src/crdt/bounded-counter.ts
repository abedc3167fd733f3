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
export interface BoundedCounterType<
  Max extends number | undefined = number | undefined,
> extends DataType {
  readonly kind: "bounded-counter";
  readonly min: number;
  readonly max: Max;
  readonly initial: number;
  readonly weakFence: boolean;
  readonly idempotencyWindowMs: number;
}

/** How to declare bounded counters. */
export type BoundedCounterOptions = Bounds & GuardedTypeOptions & IdempotencyOptions;

/** Declares a collection of counters that are never below `min`, nor above `max` if there is one. */
export function boundedCounter(
  options: BoundedCounterOptions & { readonly max: number },
): BoundedCounterType<number>;
export function boundedCounter(
  options: BoundedCounterOptions & { readonly max?: undefined },
): BoundedCounterType<undefined>;
export function boundedCounter(options: BoundedCounterOptions): BoundedCounterType {
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

/** How far a holder is: 0 on its own, 1 the pool of rights has an entry of it, 2 it is closed there. */
export type HolderPhase = 0 | 1 | 2;

/** What one holder shows to its peers. */
export interface HolderFigures extends Figures {
  readonly phase: HolderPhase;
}

/** All that either of them knows. */
export const joinHolderFigures = (left: HolderFigures, right: HolderFigures): HolderFigures => ({
  ...joinFigures(left, right),
  phase: left.phase > right.phase ? left.phase : right.phase,
});

/** As a cell carries them. */
export const writeHolderFigures = ({ created, spent, phase }: HolderFigures): readonly number[] => [
  created,
  spent,
  phase,
];

/** What `writeHolderFigures` wrote, or undefined for anything else. */
export function readHolderFigures(payload: unknown): HolderFigures | undefined {
  if (!Array.isArray(payload) || payload.length < 3) return undefined;
  const [created, spent, phase] = payload as readonly unknown[];
  if (!isFigure(created) || !isFigure(spent)) return undefined;
  if (phase !== 0 && phase !== 1 && phase !== 2) return undefined;
  return { created, spent, phase };
}

/** The value to show, of the sums over all holders. */
export function boundedValue(
  { initial, min, max }: BoundedCounterType,
  { created, spent }: Figures,
): number {
  const value = Math.max(min, initial + (created - spent));
  return Math.min(max ?? Number.MAX_SAFE_INTEGER, value);
}

const isFigure = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;
