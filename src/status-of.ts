/** Puts together what a replica says of itself. */
import type { Durability } from "./durability.ts";
import type { Environment } from "./environment.ts";
import type { Escalation } from "./escalation.ts";
import type { Locking } from "./locking.ts";
import type { ReplicaStatus } from "./replica-status.ts";
import type { Keyspace } from "./store/keyspace.ts";
import type { Sync } from "./sync/sync.ts";

/** The parts of a replica. */
export interface StatusParts {
  readonly name: string;
  readonly environment: Environment;
  readonly keyspace: Keyspace;
  readonly sync: Sync;
  readonly locking: Locking;
  readonly escalation: Escalation;
  readonly durability: Durability | undefined;
  readonly forks: number;
  /** Keys that show, by collection. */
  readonly keys: Readonly<Record<string, number>>;
}

/** What to show now. O(peers x actors). */
export function statusOf(parts: StatusParts): ReplicaStatus {
  const { name, environment, keyspace, sync, locking, escalation, durability, forks, keys } = parts;
  const { nodes, cells, clock, retention, actor } = keyspace;
  const lastStampMs = Math.floor(clock.last / 2048);
  return {
    actor,
    name,
    members: sync.members.count,
    peers: sync.peers.map(({ acknowledged: _acknowledged, ...peer }) => peer),
    clock: { lastStampMs, aheadMs: Math.max(0, lastStampMs - environment.now()) },
    storage: durability?.status ?? { kind: "memory" },
    locks: locking.status,
    rights: escalation.rights,
    keys,
    bytes: nodes.bytes + cells.bytes,
    forks,
    removalsKept: retention.count,
  };
}
