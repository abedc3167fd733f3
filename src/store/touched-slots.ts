/** Tells who follows a collection which slots of it were touched: by local batches, and by joins. */
import type { Keyspace } from "./keyspace.ts";
import type { Root } from "./nodes.ts";

/** Told of every touched slot, after the batch or the join is whole. */
export interface SlotFollower {
  touched(slot: number): void;
  /** The node is gone, or only a removal that it kept. */
  forgot(node: number): void;
}

/** Who follows what. While nobody does, nothing is computed. */
export class TouchedSlots {
  readonly #keyspace: Keyspace;
  readonly #followers: SlotFollower[] = [];
  /** By collection. */
  readonly #byRoot: (SlotFollower | undefined)[] = [];

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  /** One follower a collection. */
  follow(root: Root, follower: SlotFollower): void {
    if (this.#followers.length === 0) {
      this.#keyspace.listeners.add({
        flushed: () => this.#tell(this.#keyspace.lastBatch()),
        joined: (slots) => this.#tell(slots),
        forgot: (node) => this.#forgot(node),
      });
    }
    if (!this.#followers.includes(follower)) this.#followers.push(follower);
    this.#byRoot[root.index] = follower;
  }

  #tell(slots: Iterable<number>): void {
    const { nodes } = this.#keyspace;
    for (const slot of slots) {
      if (nodes.isUsed(slot)) this.#byRoot[nodes.rootOf(slot).index]?.touched(slot);
    }
  }

  #forgot(node: number): void {
    for (const follower of this.#followers) follower.forgot(node);
  }
}
