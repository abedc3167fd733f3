/**
 * A counter with a lower bound, perhaps an upper one, that holds while nobody coordinates.
 *
 * Meaning: the value is `initial`, more by all that was ever created, less by all that was ever spent. What
 * keeps it within its bounds is not here: a write is only made by who has the right to it (`escalate/escrow`).
 *
 * Under each key one child a *holder* of rights, with its own two figures. They only grow, and they are
 * published after the holder's disk has them, so of several cells of one holder the largest of each figure
 * is right: publishing can be repeated, by whomever, and nothing counts twice.
 *
 * @see Balegas et al. 2015, "Extending Eventually Consistent Cloud Databases for Enforcing Numeric Invariants"
 */
import { type DataType, stampedShape } from "./data-type.ts";

/** Between which integers a counter stays, and where it begins. */
export interface CounterBounds {
  readonly min: number;
  /** None unless given: then increments need rights, too. */
  readonly max?: number;
  /** Default `min`. */
  readonly initial?: number;
}

/** How to declare bounded counters. */
export interface BoundedCounterOptions extends CounterBounds {
  /** Accepts a lock backend whose fencing is not durable: what it forgets may be sold twice. */
  readonly weakFence?: boolean;
}

/** Counters within bounds; never removed. */
export interface BoundedCounterType extends DataType {
  readonly kind: "bounded-counter";
  readonly min: number;
  readonly max: number | undefined;
  readonly initial: number;
  readonly weakFence: boolean;
}

/** Declares a collection of bounded counters. */
export function boundedCounter(options: BoundedCounterOptions): BoundedCounterType {
  const { min, max, initial = min, weakFence = false } = options;
  const bounds = JSON.stringify({ min, ...(max === undefined ? {} : { max }), initial });
  return {
    kind: "bounded-counter",
    tag: `bounded-counter/1${bounds}`,
    shape: { kind: "items", names: "string", item: stampedShape },
    ...{ min, max, initial, weakFence },
  };
}

/** How far a holder is: 0 on its own, 1 the pool has an entry of it, 2 it is closed there. */
export type HolderPhase = 0 | 1 | 2;

/** What one holder ever did to one counter. */
export interface HolderFigures {
  /** All increments. */
  readonly created: number;
  /** All decrements. */
  readonly spent: number;
  readonly phase: HolderPhase;
}

/** The figures as a cell carries them. */
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

/** All that either of them knows. */
export const joinHolderFigures = (left: HolderFigures, right: HolderFigures): HolderFigures => ({
  created: Math.max(left.created, right.created),
  spent: Math.max(left.spent, right.spent),
  phase: left.phase > right.phase ? left.phase : right.phase,
});

/** The value to show: what was spent elsewhere may be known before the creation that it rests on. */
export function boundedValue(
  { initial, min, max }: BoundedCounterType,
  created: number,
  spent: number,
): number {
  const value = Math.max(min, initial + (created - spent));
  return Math.min(max ?? Number.MAX_SAFE_INTEGER, value);
}

const isFigure = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
