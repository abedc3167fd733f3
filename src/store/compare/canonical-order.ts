/**
 * One order of names on every replica, whatever its locale: null, false, true, numbers, strings; strings
 * by their UTF-16 code units.
 */
import type { Name } from "../../crdt/data-type.ts";
import type { Pace } from "./pace.ts";

/** Names that are sorted in one go. */
const runLength = 256;
/** What a comparison costs, in units of a `Pace`. */
const comparisonUnits = 0.1;

/** Negative when `left` comes first, 0 when they are the same. */
export function compareNames(left: Name, right: Name): number {
  if (typeof left === "string" && typeof right === "string") {
    return left < right ? -1 : left > right ? 1 : 0;
  }
  if (typeof left === "number" && typeof right === "number") return left - right;
  return rank(left) - rank(right);
}

function rank(name: Name): number {
  if (name === null) return 0;
  if (typeof name === "boolean") return name ? 2 : 1;
  return typeof name === "number" ? 3 : 4;
}

/** The names in order, each once. O(n log n), in slices. */
export async function inCanonicalOrder<N extends Name>(
  names: readonly N[],
  pace: Pace,
): Promise<N[]> {
  // Places are sorted, not the names: what is not on the heap need not be collected.
  let from = new Uint32Array(names.length);
  for (let start = 0; start < names.length; start += runLength) {
    const run = names.slice(start, start + runLength).map((_, i) => start + i);
    from.set(
      run.sort((left, right) => compareNames(names[left] as Name, names[right] as Name)),
      start,
    );
    if (pace.spend(run.length)) await pace.rest();
  }
  let to = new Uint32Array(names.length);
  for (let width = runLength; width < names.length; width *= 2) {
    await merge(names, { from, to, width }, pace);
    [from, to] = [to, from];
  }
  return await inPlaces(names, from, pace);
}

interface Merge {
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  /** Names in a run. */
  readonly width: number;
}

/** Merges each two runs into one. */
async function merge(
  names: readonly Name[],
  { from, to, width }: Merge,
  pace: Pace,
): Promise<void> {
  for (let start = 0; start < from.length; start += 2 * width) {
    const middle = Math.min(start + width, from.length);
    const end = Math.min(middle + width, from.length);
    let left = start;
    let right = middle;
    for (let at = start; at < end; at++) {
      const isLeft =
        right === end ||
        (left < middle &&
          compareNames(names[from[left] as number] as Name, names[from[right] as number] as Name) <=
            0);
      to[at] = from[isLeft ? left++ : right++] as number;
      if (pace.spend(comparisonUnits)) await pace.rest();
    }
  }
}

/** A name that was taken away and put back while the names were gathered is there twice. */
async function inPlaces<N extends Name>(
  names: readonly N[],
  places: Uint32Array,
  pace: Pace,
): Promise<N[]> {
  const sorted: N[] = [];
  for (const place of places) {
    const name = names[place] as N;
    if (sorted.length === 0 || sorted.at(-1) !== name) sorted.push(name);
    if (pace.spend(comparisonUnits)) await pace.rest();
  }
  return sorted;
}
