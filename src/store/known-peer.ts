/** What is known of a peer, also while it is away and after we have closed: how far it is. */
import type { VersionVector } from "../crdt/version-vector.ts";

/** One peer. */
export interface KnownPeer {
  /** The address that we dial, or the actor that dialed us. */
  readonly name: string;
  /** When it was last linked, by the wall clock in ms. */
  readonly lastSeenMs: number;
  /** What it had for certain. */
  readonly acknowledged: VersionVector;
}
