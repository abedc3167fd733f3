/** What an operator sees of a pool, and may decide about it. */
import { UsageError } from "../../errors.ts";
import type { GuardedUpdates } from "../guarded-updates.ts";
import type { HolderId } from "./holder-id.ts";
import { close, freeOf, type Pool, report, rightsOf, sides } from "./pool.ts";
import { decodePool, encodePool } from "./pool-codec.ts";
import { poolResource } from "./pool-opening.ts";
import type { Named } from "./refusals.ts";

/** One holder, as the pool has it. */
export interface ListedHolder {
  readonly id: HolderId;
  readonly name: string;
  /** `stranded`: it is closed, and what it has left may have been spent. */
  readonly state: "open" | "stranded";
  /** To decrement, as last reported. */
  readonly rights: number;
  /** To increment; 0 without an upper bound. */
  readonly upRights: number;
  /** By its own wall clock, in ms. */
  readonly lastContactMs: number;
}

/** A pool, for people. */
export interface ListedPool {
  /** What may be granted to decrement. */
  readonly free: number;
  readonly upFree: number;
  readonly holders: readonly ListedHolder[];
}

/** What an operator must read before reclaiming. */
export const riskOfReclaiming: string =
  "Reclaiming says that this holder has spent no more than it reported. If its process still runs, or its " +
  "directory has spends that it did not report, what they sold can be sold again. Do it only when the process " +
  "is surely gone and its directory is lost, or when selling one thing twice does less harm than not selling it.";

/** Holders and what they hold. O(holders). */
export function listPool(pool: Pool): ListedPool {
  const holders = [...pool.entries.values()].map(({ id, name, isClosed, seenMs, down, up }) => ({
    ...{ id, name, state: isClosed ? ("stranded" as const) : ("open" as const) },
    ...{ rights: rightsOf(down), upRights: rightsOf(up), lastContactMs: seenMs },
  }));
  return { free: freeOf(pool, "down"), upFree: freeOf(pool, "up"), holders };
}

/** Reads a pool; undefined if nobody has opened it. @throws as of the backend */
export async function readPool(
  updates: GuardedUpdates,
  named: Named,
): Promise<ListedPool | undefined> {
  const resource = poolResource(named);
  const { result } = await updates.update(resource, (current) => ({
    result:
      current === undefined || current.length === 0
        ? undefined
        : listPool(decodePool(current, resource)),
  }));
  return result;
}

/** What was made free. */
export interface Reclaimed {
  readonly rights: number;
  readonly upRights: number;
}

/**
 * Makes free what a holder has left as last reported, and closes it: its process, if it lives, is refused at
 * its next contact. See `riskOfReclaiming`.
 * @throws UsageError there is no such holder; as of the backend
 */
export async function reclaim(
  updates: GuardedUpdates,
  named: Named,
  holder: HolderId,
): Promise<Reclaimed> {
  const resource = poolResource(named);
  const { result } = await updates.update(resource, (current) => {
    const pool =
      current === undefined || current.length === 0 ? undefined : decodePool(current, resource);
    const entry = pool?.entries.get(holder);
    if (!pool || !entry) throw new UsageError(`${resource} has no holder ${holder}`);
    const reclaimed = { rights: rightsOf(entry.down), upRights: rightsOf(entry.up) };
    for (const side of sides) {
      const { created, spent, granted } = entry[side];
      report(entry[side], { created, spent, returned: Math.max(0, created + granted - spent) });
    }
    close(pool, entry);
    pool.revision++;
    return { value: encodePool(pool), result: reclaimed };
  });
  return result;
}
