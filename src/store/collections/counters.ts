/** Counters by key: local, synchronous, never removed. */
import type { Name } from "../../crdt/data-type.ts";
import { InvalidValueError } from "../../errors.ts";
import type { Keyspace } from "../keyspace.ts";
import { noNode, type Root } from "../nodes.ts";
import { Keys, type KeysOptions } from "./keys.ts";

/** How much to move by. @throws InvalidValueError */
export function checkBy(by: number): number {
  if (typeof by === "number" && (by | 0) === by && by > 0) return by;
  if (Number.isSafeInteger(by) && by > 0) return by;
  throw new InvalidValueError(`a counter cannot move by ${by}; nothing was changed`, {
    path: "by",
    reason: "is not a positive safe integer",
  });
}

/** A collection of counters. */
export class CounterCollection {
  readonly #keys: Keys;
  readonly #keyspace: Keyspace;
  readonly #nodes: ReadonlyMap<Name, number>;

  constructor(keyspace: Keyspace, root: Root) {
    this.#keys = new Keys(keyspace, root);
    this.#keyspace = keyspace;
    this.#nodes = root.keys;
  }

  /**
   * Adds `by`, a positive safe integer. O(1).
   * @throws InvalidValueError, CounterRangeError, ClosedError; nothing is changed then.
   */
  increment(key: string, by = 1): void {
    const amount = checkBy(by);
    this.#keyspace.add(this.#nodes.get(key) ?? this.#keys.make(key), amount);
  }

  /** Takes `by` away, a positive safe integer. O(1). Throws as `increment` does. */
  decrement(key: string, by = 1): void {
    const amount = checkBy(by);
    this.#keyspace.add(this.#nodes.get(key) ?? this.#keys.make(key), -amount);
  }

  /** The sum of all that was added and taken away; 0 if nothing was. O(1). */
  value(key: string): number {
    const node = this.#keys.find(key);
    return node === undefined ? 0 : this.#keys.keyspace.nodes.total(node);
  }

  /** The counter of one key, without the look-up. It stays valid for ever. */
  at(key: string): CounterHandle {
    return new CounterHandle(this.#keys, key);
  }

  /** The keys that were ever counted, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** Whether the key was ever counted. O(1). */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** How many keys were ever counted. O(1). */
  size(): number {
    return this.#keys.size();
  }
}

/** The counter of one key. Small, and its hot field first: there may be as many as there are keys. */
export class CounterHandle {
  #node = noNode;
  readonly #keys: Keys;
  readonly key: string;

  constructor(keys: Keys, key: string) {
    this.#keys = keys;
    this.key = key;
    keys.find(key);
  }

  /** As `CounterCollection.increment`. */
  increment(by = 1): void {
    const amount = checkBy(by);
    if (this.#node === noNode) this.#addFirst(amount);
    else this.#keys.keyspace.add(this.#node, amount);
  }

  /** As `CounterCollection.decrement`. */
  decrement(by = 1): void {
    const amount = -checkBy(by);
    if (this.#node === noNode) this.#addFirst(amount);
    else this.#keys.keyspace.add(this.#node, amount);
  }

  /** The counter's value. */
  value(): number {
    const node = this.#keys.find(this.key);
    return node === undefined ? 0 : this.#keys.keyspace.nodes.total(node);
  }

  /** Whether the key was ever counted. */
  has(): boolean {
    return this.#keys.has(this.key);
  }

  /** A counter that was counted is never forgotten, unless that is undone with its transaction. */
  #addFirst(by: number): void {
    const { keyspace } = this.#keys;
    const node = this.#keys.make(this.key);
    keyspace.add(node, by);
    if (!keyspace.isTransacting) this.#node = node;
  }
}
