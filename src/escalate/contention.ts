/**
 * Compare-and-set or a lease? A compare-and-set is one round trip, and wasted if somebody was quicker. A
 * lease costs two and stands in line. So: compare-and-set, until most of them are wasted; back again when
 * they would not be. Being wrong costs time only, since both commit by the same comparison.
 */

/** A measure of how many were wasted lately, that is above it: too many. */
const tooMany = 0.6;
/** Below it, for that long: few enough. */
const fewEnough = 0.2;
const calmMs = 30_000;
/** So many are watched before a judgement. */
const samplesMin = 20;
/** What one more counts. */
const weight = 0.1;
/** In so many attempts under a lease one is a compare-and-set, to see how it would do. */
const attemptsPerProbe = 20;

/** Watches one resource. Times are on a monotonic clock, in ms. */
export class Contention {
  #wasted = 0;
  #samples = 0;
  #prefersLease = false;
  #calmSinceMs: number | undefined;
  #attempts = 0;

  /** Whether the next attempt should be under a lease. */
  chooseLease(): boolean {
    if (!this.#prefersLease) return false;
    return ++this.#attempts % attemptsPerProbe !== 0;
  }

  /** A compare-and-set went through, or was wasted. */
  observe(wasWasted: boolean, nowMs: number): void {
    this.#samples++;
    this.#wasted += weight * (Number(wasWasted) - this.#wasted);
    if (this.#wasted >= fewEnough) this.#calmSinceMs = undefined;
    else this.#calmSinceMs ??= nowMs;
    if (this.#samples >= samplesMin && this.#wasted > tooMany) this.#prefersLease = true;
    const isCalm = this.#calmSinceMs !== undefined && nowMs - this.#calmSinceMs >= calmMs;
    if (isCalm) this.#prefersLease = false;
  }
}
