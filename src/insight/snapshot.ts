/**
 * What a replica shows of itself to people: plain JSON, which the dashboard, `/v1/events` and terminals
 * read. Figures that only grow are totals; who reads two snapshots knows the rates. No values of the user
 * are in it, and names are cut.
 */
import type { LaneFigure } from "../escalate/lane-figures.ts";
import type { LockFigure, LockTotals } from "../escalate/lock-figures.ts";
import type { PoolSighting } from "../escalate/escrow/pool-sightings.ts";
import type { RightsStatus } from "../escalate/escrow/rights-status.ts";
import type { LockingStatus } from "../locking.ts";
import type { PeerStatus, ReplicaStatus } from "../replica-status.ts";
import type { HotKeyOf } from "./key-traffic.ts";
import type { CodeCount, RecentEvent } from "./recent-events.ts";

/** Of the form of a snapshot: another number, other fields. */
export const snapshotVersion = 1;
/** Characters of a name: of a key, a collection, a peer, a lock. */
export const nameCharactersMax = 64;
/** Characters of a sentence. */
export const textCharactersMax = 240;
/** Peers that are shown, those that are behind or away first. */
export const peersShownMax = 256;
/** Collections that are shown, those with most keys first. */
export const collectionsShownMax = 200;
/** Hot keys, contended values, locks and counters with rights that are shown. */
export const rowsShownMax = 20;

/** Where a name stood that is not shown whole. */
export const cutMark = "…";

/** What there is of a peer whether it is here or gone. */
export type PeerFigures = Pick<
  PeerStatus,
  | "state"
  | "refused"
  | "lastEnd"
  | "isDurable"
  | "lagBatches"
  | "lagMs"
  | "bytesIn"
  | "bytesOut"
  | "framesIn"
  | "framesOut"
  | "lastSeenMs"
  | "clockOffsetMs"
  | "stagedBytes"
>;

/** One peer. */
export interface SnapshotPeer extends PeerFigures {
  /** The same in each snapshot: the actor, the address, or the place in the list. */
  readonly id: string;
  readonly actor?: string;
  readonly name?: string;
  readonly url?: string;
  /** When anything was last heard of it, in ms before the snapshot. */
  readonly silentMs?: number;
}

/** One collection. */
export interface SnapshotCollection {
  readonly name: string;
  /** What people call its type: `counter`, `document`; of one that is not ours, its tag. */
  readonly type: string;
  readonly keys: number;
  /** Names, cells and values in memory, estimated once a minute; absent before that was done. */
  readonly bytes?: number;
}

/** Everything, at one moment. */
export interface Snapshot {
  readonly version: typeof snapshotVersion;
  /** When it was made, by the replica's wall clock in ms. */
  readonly atMs: number;
  /** Since the replica was opened, in ms. */
  readonly uptimeMs: number;
  readonly name: string;
  readonly actor: string;
  /** Why it should not be sent work; empty if it may. */
  readonly notReady: readonly string[];
  readonly members: number;
  readonly clock: ReplicaStatus["clock"];
  readonly storage: ReplicaStatus["storage"];
  readonly forks: number;
  readonly removalsKept: number;
  /** Of the arrays that hold cells and names; strings and values come on top. */
  readonly stateBytes: number;
  /** Live keys of all collections. */
  readonly keys: number;
  readonly totals: {
    /** Batches that are held, by who made them. */
    readonly batches: { readonly local: number; readonly remote: number };
    /** Slots that were changed since somebody looks. */
    readonly changes: { readonly local: number; readonly remote: number };
    /** Conflicts at guarded values. */
    readonly locks: LockTotals;
  };
  readonly peers: readonly SnapshotPeer[];
  readonly peersLeftOut: number;
  readonly collections: readonly SnapshotCollection[];
  readonly collectionsLeftOut: number;
  readonly hotKeys: readonly HotKeyOf[];
  readonly backend: LockingStatus;
  readonly locks: readonly LockFigure[];
  readonly hotSpots: readonly LaneFigure[];
  /** Rights that are here. */
  readonly rights: readonly RightsStatus[];
  readonly rightsLeftOut: number;
  /** Rights of all holders. */
  readonly pools: readonly PoolSighting[];
  readonly errors: readonly CodeCount[];
  readonly events: readonly RecentEvent[];
}

/** A name as it is shown: never half a character. */
export function cut(text: string, charactersMax: number = nameCharactersMax): string {
  if (text.length <= charactersMax) return text;
  const characters = Array.from(text.slice(0, 2 * (charactersMax + 1)));
  if (characters.length <= charactersMax) return text;
  return characters.slice(0, charactersMax).join("") + cutMark;
}
