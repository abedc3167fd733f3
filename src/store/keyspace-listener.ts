/** Whom a keyspace tells. */
import type { ActorId } from "../crdt/dot.ts";

/** Told of every change, after it is whole. */
export interface KeyspaceListener {
  /** A local batch was closed. */
  flushed(): void;
  /** Something was joined that was not known. `nodes` are the slots it touched. */
  joined(nodes: readonly number[]): void;
  /** A removal that a node kept, or the node itself, was forgotten. */
  forgot?(node: number): void;
  /** An actor is known to have ended. */
  actorEnded?(actor: ActorId): void;
}
