/**
 * Many keys, few locks: each key has one of a fixed number of stripes, so the store keeps a bounded number of records
 * however many keys there are. Two keys of one stripe wait for each other: of two at random, one pair in `count`.
 */
import { UsageError } from "../../errors.ts";

/** The most stripes of one name. */
export const stripesMax = 65_536;

/** Which stripe a key has: the same everywhere. FNV-1a over UTF-8. O(key). @throws UsageError for no number of stripes */
export function stripeOf(key: string, count: number): number {
  if (!Number.isSafeInteger(count) || count < 1 || count > stripesMax) {
    throw new UsageError(`${count} is no number of stripes: 1 to ${stripesMax} are`);
  }
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash % count;
}
