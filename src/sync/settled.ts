/** What peers have for certain: those that are connected on their disks, those that are away as they left. */
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Members } from "./members.ts";
import type { PeerMemory } from "./peer-memory.ts";

/** Of each peer that is connected, and of those that are away and have not ended. O(peers). */
export const settled = (sync: {
  readonly members: Members;
  readonly memory: PeerMemory;
}): VersionVector[] => [...sync.members.kept(), ...sync.memory.awaited()];
