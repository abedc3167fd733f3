/**
 * How often did something happen lately, everywhere? For limits on rates without a central store.
 *
 * Meaning: the sum of all hits that are seen, and whose bucket of time lies within the window. Which
 * buckets do is for the reader's clock to say; what is in them, the writer's clock has decided.
 *
 * Each writer has one slot under a key, with its own hits by bucket, which only it sets: of two cells of
 * one writer the later contains the earlier, but for buckets that were over. A slot whose buckets are all
 * over is removed, an observed remove, and a writer that hits again begins it anew.
 */
import { type DataType, stampedShape } from "./data-type.ts";

/** How to divide the time. */
export interface RateWindowOptions {
  /** What `value` looks back on, in ms: a positive integer up to 31 days. */
  readonly windowMs: number;
  /** Parts of the window, 1 to 120: what is older by less than one of them may still count. Default 10. */
  readonly buckets?: number;
}

/** A collection of such counts. */
export interface RateWindowType extends DataType {
  readonly kind: "rate-window";
  readonly windowMs: number;
  readonly buckets: number;
}

/** The longest window, in ms. */
export const windowMsMax: number = 31 * 24 * 60 * 60 * 1_000;
/** The finest division: every batch of hits carries all buckets of its writer. */
export const bucketsMax = 120;

/** Declares a collection of counts of what happened lately. */
export const rateWindow = ({ windowMs, buckets = 10 }: RateWindowOptions): RateWindowType => ({
  kind: "rate-window",
  // Replicas that divide the time in other ways must not meet in one collection.
  tag: `rate-window/1${JSON.stringify([windowMs, buckets])}`,
  shape: { kind: "items", names: "string", item: stampedShape },
  ...{ windowMs, buckets },
});

/** One writer's hits: a bucket and its count, and so on, the earliest bucket first. */
export type Hits = readonly number[];

const none: Hits = [];

/** What a cell carries, or nothing for anything else: a peer may have written it. */
export function readHits(payload: unknown): Hits {
  if (!Array.isArray(payload) || payload.length % 2 !== 0) return none;
  const numbers = payload as readonly unknown[];
  const isHits = numbers.every((number) => Number.isSafeInteger(number) && (number as number) >= 0);
  return isHits ? (payload as Hits) : none;
}

/** The hits with more in one bucket, and without those that `isOver`. O(buckets). */
export function addHits(
  hits: Hits,
  bucket: number,
  by: number,
  isOver: (bucket: number) => boolean,
): Hits {
  const last = hits.length - 2;
  if (hits[last] === bucket && !isOver(hits[0] as number)) {
    // Mostly there is one more in the bucket of the last, and nothing to drop.
    const more = hits.slice();
    more[last + 1] = (hits[last + 1] as number) + by;
    return more;
  }
  const sums = new Map<number, number>([[bucket, by]]);
  for (let i = 0; i < hits.length; i += 2) {
    const [at, count] = [hits[i] as number, hits[i + 1] as number];
    if (!isOver(at)) sums.set(at, (sums.get(at) ?? 0) + count);
  }
  return [...sums].toSorted(([one], [other]) => one - other).flat();
}

/** How many hits are in buckets that count. O(buckets). */
export function countHits(hits: Hits, counts: (bucket: number) => boolean): number {
  let sum = 0;
  for (let i = 0; i < hits.length; i += 2)
    if (counts(hits[i] as number)) sum += hits[i + 1] as number;
  return sum;
}
