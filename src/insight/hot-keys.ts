/**
 * Which keys are touched most? A sketch of a fixed size tells, of any number of keys: who is counted
 * is one of so many, and a newcomer takes the place of the least, with its count as its error. So a key
 * that had more than 1/`countersMax` of all touches is surely in it, and its count is never too small.
 * Counts are halved now and then, so what was hot an hour ago is not hot now.
 *
 * @see Metwally, Agrawal, El Abbadi 2005, "Efficient computation of frequent and top-k elements in data streams"
 */

/** Keys that are counted, of one collection. */
export const countersMax = 64;
/** How long until a touch counts half, in ms. */
export const halfLifeMs = 60_000;

/** Whose touches they are. */
export type Origin = "local" | "remote";

/** A key, and what it had lately. */
export interface HotKey {
  readonly key: string;
  /** Touches, at most: those long ago count less. */
  readonly touches: number;
  /** By how much that may be too high. */
  readonly error: number;
  /** Of those that were seen: the share that was made here, from 0 to 1. */
  readonly localShare: number;
}

interface Counter {
  touches: number;
  error: number;
  seen: number;
  local: number;
}

/** The sketch of one collection. */
export class HotKeys {
  readonly #counters = new Map<string, Counter>();
  readonly #countersMax: number;
  #halvedMs: number;

  /** `nowMs` on the monotonic clock, as everywhere here. */
  constructor(nowMs: number, max: number = countersMax) {
    this.#halvedMs = nowMs;
    this.#countersMax = max;
  }

  /** So many touches of one key. O(1); O(countersMax) for a key that is not counted yet. */
  touched(key: string, origin: Origin, times = 1): void {
    const counter = this.#counters.get(key) ?? this.#enter(key);
    counter.touches += times;
    counter.seen += times;
    if (origin === "local") counter.local += times;
  }

  /** The hottest first. O(countersMax log countersMax). */
  top(count: number, nowMs: number): readonly HotKey[] {
    this.#age(nowMs);
    return [...this.#counters]
      .map(([key, { touches, error, seen, local }]) => ({
        ...{ key, touches, error },
        localShare: seen === 0 ? 0 : local / seen,
      }))
      .toSorted((left, right) => right.touches - left.touches)
      .slice(0, count);
  }

  #enter(key: string): Counter {
    const counter = { touches: 0, error: 0, seen: 0, local: 0 };
    if (this.#counters.size >= this.#countersMax) {
      const [name, { touches }] = this.#least();
      this.#counters.delete(name);
      counter.touches = touches;
      counter.error = touches;
    }
    this.#counters.set(key, counter);
    return counter;
  }

  #least(): readonly [string, Counter] {
    let least: readonly [string, Counter] | undefined;
    for (const one of this.#counters) {
      if (least === undefined || one[1].touches < least[1].touches) least = one;
    }
    if (least === undefined) throw new Error("assertion: a full sketch is empty");
    return least;
  }

  #age(nowMs: number): void {
    const halvings = Math.min(64, Math.floor((nowMs - this.#halvedMs) / halfLifeMs));
    if (halvings < 1) return;
    this.#halvedMs += halvings * halfLifeMs;
    const share = 0.5 ** halvings;
    for (const [key, counter] of this.#counters) {
      for (const figure of ["touches", "error", "seen", "local"] as const) counter[figure] *= share;
      if (counter.touches < 0.5) this.#counters.delete(key);
    }
  }
}
