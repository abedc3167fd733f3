/**
 * The pool of one counter: who was given how many of the rights that lie between its value and its bounds.
 * One record in the strong store, changed by one guarded write at a time.
 *
 * Every figure of a holder only grows and is set to what the holder's disk has, so a step that is repeated,
 * doubled or late has one effect. What is free is not kept: it is what was there at first, with all that was
 * returned, less all that was granted.
 *
 * A holder is closed once and for ever. One that has no rights left then is summed up with others; its id
 * is kept for a while, and `horizonMs` says from when on every id is known that was ever closed here.
 */
import { drawnAtMs, type HolderId } from "./holder-id.ts";

/** Which bound the rights are of: `down` to decrement, `up` to increment. */
export type Side = "down" | "up";
export const sides: readonly Side[] = ["down", "up"];

/** What one holder ever did with the rights of one side. */
export interface Figures {
  granted: number;
  returned: number;
  created: number;
  spent: number;
}

/** Of one side of one holder, as last reported. */
export interface Share extends Figures {
  /** How many it waits for now. */
  wants: number;
  /** How many it spends in 1,000 s, about. */
  pace: number;
}

/** One holder in the pool. */
export interface PoolEntry {
  readonly id: HolderId;
  /** For people. */
  readonly name: string;
  /** It spends no more. */
  isClosed: boolean;
  /** When it last wrote, by its own wall clock. Decides nothing but how chunks are cut. */
  seenMs: number;
  readonly down: Share;
  readonly up: Share;
}

/** The bounds that the figures are about. */
export interface PoolBounds {
  readonly min: number;
  readonly max: number | undefined;
  readonly initial: number;
}

/** The whole record. Made anew from its bytes for each change. */
export interface Pool {
  /** Of the store that it was made in. */
  readonly birth: string;
  /** Drawn when it was made. */
  readonly lineage: string;
  readonly bounds: PoolBounds;
  /** Grows with each write. */
  revision: number;
  /** Holders that were closed with nothing left. */
  readonly folded: { readonly down: Figures; readonly up: Figures };
  /** Their ids, as far as they are still known. */
  readonly closed: Set<HolderId>;
  /** An id that was drawn later, and is neither here nor among the entries, was never closed here. */
  horizonMs: number;
  readonly entries: Map<HolderId, PoolEntry>;
}

/** Ids of closed holders that are kept. */
export const closedMax = 128;
/** Holders that are not summed up. */
export const entriesMax = 1_024;
/** One that wrote within this time counts as one who shares. */
const liveMs = 120_000;

export const noFigures = (): Figures => ({ granted: 0, returned: 0, created: 0, spent: 0 });
const noShare = (): Share => ({ ...noFigures(), wants: 0, pace: 0 });

/** A new record, before anybody was granted anything. */
export const newPool = (birth: string, lineage: string, bounds: PoolBounds): Pool => ({
  ...{ birth, lineage, bounds, revision: 0, horizonMs: 0 },
  folded: { down: noFigures(), up: noFigures() },
  closed: new Set(),
  entries: new Map(),
});

/** A new holder, entered into the record. */
export function enter(pool: Pool, id: HolderId, name: string): PoolEntry {
  const entry = { id, name, isClosed: false, seenMs: 0, down: noShare(), up: noShare() };
  pool.entries.set(id, entry);
  return entry;
}

/** What a holder may still spend, as far as it has reported. */
export const rightsOf = ({ granted, returned, created, spent }: Figures): number =>
  Math.max(0, created + granted - returned - spent);

/** What may be granted. O(holders). */
export function freeOf(pool: Pool, side: Side): number {
  const { min, max, initial } = pool.bounds;
  const { granted, returned } = pool.folded[side];
  let free = (side === "down" ? initial - min : (max ?? initial) - initial) + returned - granted;
  for (const entry of pool.entries.values()) free += entry[side].returned - entry[side].granted;
  return free;
}

/** All that is left of one side, wherever it is: no caller can have more. O(holders). */
export function reachOf(pool: Pool, side: Side): number {
  let reach = Math.max(0, freeOf(pool, side));
  for (const entry of pool.entries.values()) reach += rightsOf(entry[side]);
  return reach;
}

/** What lies with holders that are closed. O(holders). */
export function strandedOf(pool: Pool, side: Side): number {
  let stranded = 0;
  for (const entry of pool.entries.values()) if (entry.isClosed) stranded += rightsOf(entry[side]);
  return stranded;
}

/** Sets figures to what is known of them now; returns whether any has grown. */
export function report(share: Figures, known: Omit<Figures, "granted">): boolean {
  let hasGrown = false;
  for (const figure of ["created", "returned", "spent"] as const) {
    if (known[figure] <= share[figure]) continue;
    share[figure] = known[figure];
    hasGrown = true;
  }
  return hasGrown;
}

/** How many hold rights, or want some, besides those that are gone. At least 1. */
export function sharersOf(pool: Pool, nowMs: number): number {
  let sharers = 0;
  for (const { isClosed, seenMs } of pool.entries.values()) {
    if (!isClosed && nowMs - seenMs < liveMs) sharers++;
  }
  return Math.max(1, sharers);
}

/** How much all of them spend in 1,000 s. */
export function paceOf(pool: Pool, side: Side, nowMs: number): number {
  let pace = 0;
  for (const entry of pool.entries.values()) {
    if (!entry.isClosed && nowMs - entry.seenMs < liveMs) pace += entry[side].pace;
  }
  return pace;
}

/** What others than `id` wait for. */
export function wantedByOthers(pool: Pool, side: Side, id: HolderId, nowMs: number): number {
  let wanted = 0;
  for (const entry of pool.entries.values()) {
    if (entry.id === id || entry.isClosed || nowMs - entry.seenMs > liveMs) continue;
    wanted += entry[side].wants;
  }
  return wanted;
}

/** Ends a holder. What it has left stays with it, for an operator to decide about. */
export function close(pool: Pool, entry: PoolEntry): void {
  entry.isClosed = true;
  for (const side of sides) entry[side].wants = 0;
  if (sides.some((side) => rightsOf(entry[side]) > 0)) return;
  for (const side of sides) {
    const sum = pool.folded[side];
    for (const figure of ["granted", "returned", "created", "spent"] as const) {
      sum[figure] += entry[side][figure];
    }
  }
  pool.entries.delete(entry.id);
  pool.closed.add(entry.id);
  if (pool.closed.size <= closedMax) return;
  // The one that was drawn first: of all that were drawn later it is known whether they were closed.
  const oldest = [...pool.closed].reduce((left, right) => (left < right ? left : right));
  pool.closed.delete(oldest);
  pool.horizonMs = Math.max(pool.horizonMs, drawnAtMs(oldest));
}

/** What the record says of somebody. */
export type Standing = "open" | "closed" | "unknown" | "perhaps-closed";

/** `perhaps-closed` only for one that was drawn before the horizon. */
export function standingOf(pool: Pool, id: HolderId): Standing {
  const entry = pool.entries.get(id);
  if (entry) return entry.isClosed ? "closed" : "open";
  if (pool.closed.has(id)) return "closed";
  return drawnAtMs(id) > pool.horizonMs ? "unknown" : "perhaps-closed";
}
