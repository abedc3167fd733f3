/**
 * Which keys have a life, and which are expired but still held? What stands in the cells decides; this is
 * an index of it, so that nobody has to look at all keys.
 */
import { lifeName } from "../../crdt/expiring.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import type { SlotFollower, TouchedSlots } from "../touched-slots.ts";
import { hasExpired } from "./life.ts";

/** Told of lives. */
export interface LifeListener {
  /** The key's life was touched. */
  touched(key: number): void;
  /** The node is gone. */
  forgot(node: number): void;
}

/** The lives of one keyspace. */
export class Lives implements SlotFollower {
  readonly #keyspace: Keyspace;
  readonly #touched: TouchedSlots;
  /** Of each expiring collection: keys that have expired, and perhaps some that live again. */
  readonly #expired = new Map<Root, Set<number>>();
  #listener: LifeListener | undefined;

  constructor(keyspace: Keyspace, touched: TouchedSlots) {
    this.#keyspace = keyspace;
    this.#touched = touched;
  }

  /** A collection whose keys expire. */
  add(root: Root): void {
    this.#expired.set(root, new Set());
    this.#touched.follow(root, this);
  }

  /** The collections whose keys expire. */
  get roots(): Iterable<Root> {
    return this.#expired.keys();
  }

  /** One listener. */
  listen(listener: LifeListener): void {
    this.#listener = listener;
  }

  /** Looks at all keys, as after reading a store. O(keys). */
  reload(): void {
    const { nodes } = this.#keyspace;
    for (const root of this.#expired.keys()) {
      for (const key of root.keys.values()) {
        const life = nodes.container(key)?.children.get(lifeName);
        if (life !== undefined) this.touched(life);
      }
    }
  }

  touched(slot: number): void {
    const { nodes } = this.#keyspace;
    if (!nodes.isAside(slot)) return;
    const key = nodes.parent(slot);
    if (hasExpired(this.#keyspace, key)) this.#expired.get(nodes.rootOf(key))?.add(key);
    this.#listener?.touched(key);
  }

  forgot(node: number): void {
    for (const expired of this.#expired.values()) expired.delete(node);
    if (!this.#keyspace.nodes.isUsed(node)) this.#listener?.forgot(node);
  }

  /** How many keys of the collection are held, but do not show. O(those that were so lately). */
  hidden(root: Root): number {
    const { nodes, isTransacting } = this.#keyspace;
    const expired = this.#expired.get(root);
    let hidden = 0;
    for (const key of expired ?? []) {
      const isHere = nodes.isUsed(key) && nodes.parent(key) === ~root.index;
      if (isHere && hasExpired(this.#keyspace, key)) {
        if (this.#keyspace.isLive(key)) hidden++;
      } else if (!isTransacting) {
        // In a transaction it may yet be undone that the key lives again.
        expired?.delete(key);
      }
    }
    return hidden;
  }
}
