/** How did the last run end, and who may know more of it than its disk? */
import type { Durability } from "./durability.ts";
import type { PeerOption } from "./replica-options.ts";

/**
 * `"closed"`: all that it wrote is here. Otherwise what its disk had not may be held by `"nobody"` else, by
 * `"configured"` peers, or by `"others"`, who dialed us, too. Without a disk, or with an empty one, that is so
 * at every start.
 */
export type LastStop = "closed" | "nobody" | "configured" | "others";

/** Of what is stored. O(peers). */
export function lastStopOf(
  durability: Durability | undefined,
  peers: readonly PeerOption[],
): LastStop {
  const configured = new Set(peers.map((peer) => (typeof peer === "string" ? peer : peer.url)));
  if (!durability || durability.isNew) return configured.size > 0 ? "configured" : "closed";
  if (!durability.hasCrashed) return "closed";
  if (durability.peers.some(({ name }) => !configured.has(name))) return "others";
  return configured.size > 0 ? "configured" : "nobody";
}
