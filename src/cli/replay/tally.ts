/** The plain count of a log, in one process and with nothing of Trellis: what replicas are held to. */
import type { Visit } from "./site.ts";

/** What a log comes to. */
export interface Tally {
  readonly requests: number;
  /** Hits per path. */
  readonly hits: ReadonlyMap<string, number>;
  /** Visitors per path. */
  readonly visitors: ReadonlyMap<string, ReadonlySet<string>>;
  /** The referrers of a path in the log's order, each where it came last; so the last one is last. */
  readonly referrers: ReadonlyMap<string, ReadonlySet<string>>;
}

/** Counts visits. O(visits). */
export function tally(visits: readonly Visit[]): Tally {
  const hits = new Map<string, number>();
  const visitors = new Map<string, Set<string>>();
  const referrers = new Map<string, Set<string>>();
  for (const { path, visitor, referrer } of visits) {
    hits.set(path, (hits.get(path) ?? 0) + 1);
    setOf(visitors, path).add(visitor);
    if (referrer === "") continue;
    const seen = setOf(referrers, path);
    seen.delete(referrer);
    seen.add(referrer);
  }
  return { requests: visits.length, hits, visitors, referrers };
}

/** The last referrer of each path, by the log's order. */
export const lastReferrers = ({ referrers }: Tally): ReadonlyMap<string, string> =>
  new Map(
    [...referrers].flatMap(([path, seen]) => [...seen].slice(-1).map((last) => [path, last])),
  );

function setOf(sets: Map<string, Set<string>>, path: string): Set<string> {
  let set = sets.get(path);
  if (set === undefined) sets.set(path, (set = new Set()));
  return set;
}
