/** Who holds rights, all replicas together: as the pools said when they were last asked from here. */
import type { Holding } from "./holding.ts";
import { freeOf, type Pool, type PoolEntry, rightsOf } from "./pool.ts";

/** Counters of which that is kept; those that were not asked for the longest time are forgotten. */
export const sightingsMax = 256;
/** Holders that are named, those with most rights first. */
const holdersMax = 16;

/** One holder of rights of one counter. */
export interface PoolHolder {
  readonly holder: string;
  /** Of its replica, for people. */
  readonly name: string;
  readonly isOurs: boolean;
  /** It spends no more: what it has is stranded. */
  readonly isClosed: boolean;
  /** To decrement. */
  readonly down: number;
  /** To increment. */
  readonly up: number;
}

/** One counter's pool. */
export interface PoolSighting {
  readonly collection: string;
  readonly key: string;
  /** When that was so, by the wall clock in ms. */
  readonly atMs: number;
  /** What may still be taken, to decrement and, with an upper bound, to increment. */
  readonly free: { readonly down: number; readonly up?: number };
  readonly holders: readonly PoolHolder[];
  /** Holders that are not named. */
  readonly unnamed: number;
}

/** The latest sightings. */
export class PoolSightings {
  readonly #sightings = new Map<string, PoolSighting>();

  /** A round has read the pool. O(holders log holders). */
  saw({ collection, key, holder, up }: Holding, pool: Pool, atMs: number): void {
    const all = [...pool.entries.values()].filter((entry) => totalOf(entry) > 0);
    const name = JSON.stringify([collection, key]);
    this.#sightings.delete(name);
    this.#sightings.set(name, {
      ...{ collection, key, atMs },
      free: { down: freeOf(pool, "down"), ...(up ? { up: freeOf(pool, "up") } : {}) },
      holders: all
        .toSorted((left, right) => totalOf(right) - totalOf(left))
        .slice(0, holdersMax)
        .map((entry) => ({
          ...{ holder: entry.id, name: entry.name, isClosed: entry.isClosed },
          isOurs: entry.id === holder,
          ...{ down: rightsOf(entry.down), up: rightsOf(entry.up) },
        })),
      unnamed: Math.max(0, all.length - holdersMax),
    });
    for (const oldest of this.#sightings.keys()) {
      if (this.#sightings.size <= sightingsMax) break;
      this.#sightings.delete(oldest);
    }
  }

  /** The latest first, at most `count`. */
  latest(count: number): readonly PoolSighting[] {
    return [...this.#sightings.values()].slice(-count).toReversed();
  }
}

const totalOf = ({ down, up }: PoolEntry): number => rightsOf(down) + rightsOf(up);
