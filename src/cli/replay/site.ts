/** What the replay keeps about a site, and what one request does to it. */
import {
  counter,
  type Collections,
  type CounterType,
  lwwRegister,
  type LwwRegisterType,
  orSet,
  type OrSetType,
} from "../../index.ts";

/** The types of `siteSchema`. */
export type SiteSchema = {
  /** Hits per path. */
  readonly hits: CounterType;
  /** Who asked for a path. */
  readonly visitors: OrSetType<string>;
  /** The page that last led to a path. */
  readonly referrers: LwwRegisterType<string>;
  /** How many requests a durable replica took, by its name: written with each of them, as one. */
  readonly taken: LwwRegisterType<number>;
};

/** The schema of every replica of a replay. */
export const siteSchema: SiteSchema = {
  hits: counter(),
  visitors: orSet(),
  referrers: lwwRegister<string>(),
  taken: lwwRegister<number>(),
};

/** The collections that a log makes, in the order in which they are read and compared. */
export const siteCollections = ["hits", "visitors", "referrers"] as const;

/** One of the collections. */
export type SiteCollection = (typeof siteCollections)[number];

/** What of a request reaches a replica. An empty referrer is none. */
export interface Visit {
  readonly path: string;
  readonly visitor: string;
  readonly referrer: string;
}

/** Writes one visit; tells how many operations that took. */
export function record(site: Collections<SiteSchema>, visit: Visit): number {
  site.hits.increment(visit.path);
  site.visitors.add(visit.path, visit.visitor);
  if (visit.referrer === "") return 2;
  site.referrers.set(visit.path, visit.referrer);
  return 3;
}
