/** What a replica says of itself: when it is asked, and by itself. */
import type { StorageStatus } from "./durability.ts";
import type { RightsStatus } from "./escalate/escrow.ts";
import type { LockingStatus } from "./locking.ts";
import type { Conflict } from "./store/conflicts.ts";
import type { PeerView } from "./sync/sync.ts";

/** Something that an operator should know. */
export interface Warning {
  readonly kind:
    | "held-stamps"
    | "forked"
    | "not-durable"
    | "lock-authority"
    | "rights"
    | "document";
  readonly message: string;
}

/** What `on` tells. */
export interface ReplicaEvents {
  readonly conflict: Conflict;
  readonly warning: Warning;
}

/** One peer in `status()`. */
export type PeerStatus = Omit<PeerView, "acknowledged">;

/** What a replica says of itself. */
export interface ReplicaStatus {
  readonly actor: string;
  readonly name: string;
  /** This replica, its configured peers, and those that are connected. */
  readonly members: number;
  readonly peers: readonly PeerStatus[];
  readonly clock: { readonly lastStampMs: number; readonly aheadMs: number };
  readonly storage: StorageStatus;
  readonly locks: LockingStatus;
  /** Of the bounded counters that were used here. */
  readonly rights: readonly RightsStatus[];
  /** Live keys, by collection. */
  readonly keys: Readonly<Record<string, number>>;
  /** Of the arrays that hold cells and names; strings and values come on top. */
  readonly bytes: number;
  /** How often we had to take another actor, since somebody else wrote as ours. */
  readonly forks: number;
  /** Removals kept for peers that have not heard of them. */
  readonly removalsKept: number;
}
