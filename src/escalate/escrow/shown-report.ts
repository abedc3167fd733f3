/**
 * What peers have shown, told to the pool by somebody else: figures are facts, whoever brings them. So a
 * round that looks whether anything is left knows of every creation and every spend that it could know.
 */
import type { HolderFigures } from "../../crdt/bounded-counter.ts";
import type { ShownFigures } from "./figures.ts";
import type { Holding } from "./holding.ts";
import { type Pool, report, type Side, standingOf } from "./pool.ts";

/** Returns whether the record has more than before. O(holders). */
export function reportShown(
  pool: Pool,
  shown: ShownFigures,
  { key, holder, up }: Holding,
): boolean {
  let hasGrown = false;
  for (const [id, { created, spent }] of shown.of(key)) {
    const entry = pool.entries.get(id);
    if (!entry || entry.isClosed || id === holder) continue;
    if (report(entry.down, { created, spent, returned: 0 })) hasGrown = true;
    if (up && report(entry.up, { created: spent, spent: created, returned: 0 })) hasGrown = true;
  }
  return hasGrown;
}

/** Rights that somebody has created of whom the record knows nothing. O(holders). */
export function unrecorded(
  pool: Pool,
  shown: ShownFigures,
  { key, holder, up }: Holding,
): Readonly<Record<Side, number>> {
  const sums = { down: 0, up: 0 };
  for (const [id, figures] of shown.of(key)) {
    if (id === holder || !isUnrecorded(pool, id, figures)) continue;
    const by = figures.created - figures.spent;
    sums.down += Math.max(0, by);
    if (up) sums.up += Math.max(0, -by);
  }
  return sums;
}

function isUnrecorded(pool: Pool, id: string, { phase }: HolderFigures): boolean {
  if (phase === 2) return false;
  const standing = standingOf(pool, id);
  return standing === "unknown" || standing === "perhaps-closed";
}
