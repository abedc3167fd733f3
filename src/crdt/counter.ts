/**
 * A counter that goes up and down.
 *
 * Meaning: the value is the sum of `by` over all visible increments, less that over all visible
 * decrements; nothing is ever taken out of it.
 *
 * Each actor keeps one running total of its own. Only that actor moves it, so of two totals the one
 * with the larger sequence contains the other. Being signed, one total does for both directions.
 *
 * @see Shapiro, Preguiça, Baquero, Zawirski 2011, "A comprehensive study of CRDTs", PN-Counter
 */
import { type DataType, sumShape } from "./data-type.ts";

/** A PN-counter; never removed. */
export interface CounterType extends DataType {
  readonly kind: "counter";
}

/** Declares a collection of counters. */
export const counter = (): CounterType => ({ kind: "counter", tag: "counter/1", shape: sumShape });

/** Whether an integer is safe; cheaper than `Number.isSafeInteger`, for what is known to be one. */
export const isSafe = (total: number): boolean =>
  total <= Number.MAX_SAFE_INTEGER && total >= Number.MIN_SAFE_INTEGER;
