/**
 * Reading a pool record before changing it. Is it the one that this holder knows, or has the store been set
 * back, wiped, or changed for another? Whoever knows more than the record says so, and takes nothing from it.
 */
import type { Environment } from "../../environment.ts";
import { UsageError } from "../../errors.ts";
import type { HolderId } from "./holder-id.ts";
import type { Seen } from "./holding.ts";
import { newPool, type Pool, type PoolBounds, standingOf } from "./pool.ts";
import { decodePool, encodePool } from "./pool-codec.ts";
import { type Named, rolledBack } from "./refusals.ts";

/** Who opens it, and what is known here. */
export interface Opening extends Named {
  readonly environment: Environment;
  readonly resource: string;
  readonly bounds: PoolBounds;
  /** Of the store, from the store. */
  readonly birth: string;
  readonly holder: HolderId;
  readonly seen: Seen | undefined;
  /** What the holder was granted, as far as it knows. */
  readonly granted: { readonly down: number; readonly up: number };
  /** Whether anybody has shown to peers that there is a record. */
  readonly isKnown: boolean;
}

const lineageBytes = 8;
/**
 * Of a lease for one step, which takes no time by itself, in ms. Who dies in line with one, or holding it, keeps
 * others out for so long, and on some stores for three times that.
 */
export const stepTtlMs = 2_000;

/** Where the pool of a counter is. Names of collections have no slash in it. */
export const poolResource = ({ collection, key }: Named): string =>
  `pool/${encodeURIComponent(collection)}/${key}`;

/**
 * The record, or a new one if there surely was none.
 * @throws StoreRolledBackError; UsageError when its bounds are others; LockUnavailableError for other bytes.
 */
export function openPool(current: Uint8Array | undefined, opening: Opening): Pool {
  const { environment, resource, bounds, birth, seen } = opening;
  if (current === undefined || current.length === 0) {
    if (seen || opening.isKnown) throw rolledBack(opening, resource, "is gone");
    const lineage = Buffer.from(environment.randomBytes(lineageBytes)).toString("hex");
    return newPool(birth, lineage, bounds);
  }
  const pool = decodePool(current, resource);
  checkBounds(pool.bounds, bounds, resource);
  if (pool.birth !== birth) throw rolledBack(opening, resource, "is of another store");
  if (seen) checkSeen(pool, opening, seen);
  return pool;
}

/** The bytes of a record that changed. */
export function savePool(pool: Pool): Uint8Array {
  pool.revision++;
  return encodePool(pool);
}

function checkSeen(pool: Pool, opening: Opening, seen: Seen): void {
  const { resource, holder, granted } = opening;
  if (pool.birth !== seen.birth) throw rolledBack(opening, resource, "is of another store");
  if (pool.lineage !== seen.lineage) throw rolledBack(opening, resource, "was made anew");
  if (pool.revision < seen.revision) {
    const versions = `is at revision ${pool.revision}, after ${seen.revision}`;
    throw rolledBack(opening, resource, versions);
  }
  const entry = pool.entries.get(holder);
  if (entry && (entry.down.granted < granted.down || entry.up.granted < granted.up)) {
    throw rolledBack(opening, resource, "knows less of what was granted");
  }
  if (standingOf(pool, holder) === "unknown") {
    throw rolledBack(opening, resource, "does not know this holder");
  }
}

function checkBounds(found: PoolBounds, ours: PoolBounds, resource: string): void {
  if (found.min === ours.min && found.max === ours.max && found.initial === ours.initial) return;
  throw new UsageError(
    `${resource} has the bounds ${JSON.stringify(found)}, this schema has ${JSON.stringify(ours)}: ` +
      "bounds cannot be changed while the pool stands; give the collection another name",
  );
}
