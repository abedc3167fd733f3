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
  /** Of each expiring collection: keys that are held, but do not show. */
  readonly #expired = new Map<Root, Set<number>>();
  /** Of these, some that may live again: they are looked at when they are counted. */
  readonly #revived = new Set<number>();
  #listener: LifeListener | undefined;

  constructor(keyspace: Keyspace, touched: TouchedSlots) {
    this.#keyspace = keyspace;
    this.#touched = touched;
  }

  /** A collection whose keys expire; it may hold some already. O(keys). */
  add(root: Root): void {
    this.#expired.set(root, new Set());
    this.#touched.follow(root, this);
    this.#load(root);
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
    for (const root of this.#expired.keys()) this.#load(root);
  }

  #load(root: Root): void {
    const { nodes } = this.#keyspace;
    for (const key of root.keys.values()) {
      const life = nodes.container(key)?.children.get(lifeName);
      if (life !== undefined) this.touched(life);
    }
  }

  touched(slot: number): void {
    const { nodes } = this.#keyspace;
    const key = nodes.keyOf(slot);
    const isLife = nodes.isAside(slot);
    if (isLife || this.#expired.get(nodes.rootOf(key))?.has(key) === true) this.settle(key);
    if (isLife) this.#listener?.touched(key);
  }

  forgot(node: number): void {
    if (this.#keyspace.nodes.isUsed(node)) return;
    for (const expired of this.#expired.values()) expired.delete(node);
    this.#revived.delete(node);
    this.#listener?.forgot(node);
  }

  /** Looks whether the key is held, but does not show. */
  settle(key: number): void {
    const expired = this.#expired.get(this.#keyspace.nodes.rootOf(key));
    if (this.#isHidden(key)) expired?.add(key);
    else expired?.delete(key);
    this.#revived.delete(key);
  }

  /** The key lives again, unless that is undone with its transaction. */
  revive(key: number): void {
    this.#revived.add(key);
  }

  /** How many keys of the collection are held, but do not show. O(keys that live again since the last batch). */
  hidden(root: Root): number {
    const expired = this.#expired.get(root);
    if (expired === undefined) return 0;
    let hidden = expired.size;
    for (const key of this.#revived) if (expired.has(key) && !this.#isHidden(key)) hidden--;
    return hidden;
  }

  #isHidden(key: number): boolean {
    return this.#keyspace.isLive(key) && hasExpired(this.#keyspace, key);
  }
}
