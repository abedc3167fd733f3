/** Whom a keyspace tells. */
import type { ActorId } from "../crdt/dot.ts";

/** Told of every change, after it is whole. */
export interface KeyspaceListener {
  /** A local batch was closed. */
  flushed(): void;
  /** A transaction threw, and all that it wrote is undone. */
  undone?(): void;
  /** Something was joined that was not known. `nodes` are the slots it touched. */
  joined(nodes: readonly number[]): void;
  /** Nothing is written any more, but what the replica itself has to say. */
  sealed?(): void;
  /** A removal that a node kept, or the node itself, was forgotten. */
  forgot?(node: number): void;
  /** An actor is known to have ended. */
  actorEnded?(actor: ActorId): void;
}
