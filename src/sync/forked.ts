/** What is told when somebody else writes as our actor. */
import type { ActorId } from "../crdt/dot.ts";

/** We took another actor. */
export interface Forked {
  readonly from: ActorId;
  readonly to: ActorId;
  /** The name of the peer that knew better. */
  readonly noticedBy: string;
}
