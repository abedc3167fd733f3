/** Add-wins sets by key. */
import type { Name } from "../../crdt/data-type.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container } from "../nodes.ts";
import { checkElement } from "../values.ts";
import type { CollectionKeys, KeysOptions } from "./keys.ts";

/** The elements under one container: a set of a collection, or a field of an entry. */
export class Elements {
  readonly #keyspace: Keyspace;

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  add(set: Container, element: Name): void {
    const child = set.children.get(element);
    this.#keyspace.mark(child ?? this.#keyspace.child(set, checkElement(element)));
  }

  remove(set: Container | undefined, element: Name): void {
    const child = set?.children.get(element);
    if (child === undefined) checkElement(element);
    else this.#keyspace.clear(child);
  }

  has(set: Container | undefined, element: Name): boolean {
    const child = set?.children.get(element);
    if (child === undefined) checkElement(element);
    return child !== undefined && this.#keyspace.isLive(child);
  }

  values(set: Container | undefined): Name[] {
    const values: Name[] = [];
    if (set === undefined) return values;
    for (const [element, child] of set.children) {
      if (this.#keyspace.isLive(child)) values.push(element);
    }
    return values;
  }

  size(set: Container | undefined): number {
    return set === undefined ? 0 : this.#keyspace.nodes.total(set.node);
  }

  clear(set: Container | undefined): void {
    if (set) this.#keyspace.clearAll(set.node);
  }
}

/** A collection of sets. */
export class SetCollection<E extends Name = string> {
  readonly #keys: CollectionKeys;
  readonly #elements: Elements;

  constructor(keys: CollectionKeys) {
    this.#keys = keys;
    this.#elements = new Elements(keys.keyspace);
  }

  /** Adds an element; it wins over concurrent removes. O(1). @throws InvalidValueError */
  add(key: string, element: E): void {
    if (this.#keys.renews) checkElement(element);
    this.#elements.add(this.#keys.container(key), element);
  }

  /** Removes the adds of the element that are seen here. Absent: nothing happens. O(1). */
  remove(key: string, element: E): void {
    this.#elements.remove(this.#keys.children(key), element);
  }

  /** Whether the element is present. O(1). */
  has(key: string, element: E): boolean;
  /** Whether the set has any element. O(1). */
  has(key: string): boolean;
  has(key: string, ...element: readonly E[]): boolean {
    if (element.length === 0) return this.#keys.has(key);
    return this.#elements.has(this.#keys.children(key), element[0] as E);
  }

  /** The elements, in no particular order. O(n). */
  values(key: string): E[] {
    return this.#elements.values(this.#keys.children(key)) as E[];
  }

  /** How many elements the set has. O(1). */
  size(key: string): number;
  /** How many keys have a set that is not empty. O(1). */
  size(): number;
  size(...key: readonly string[]): number {
    const [name] = key;
    return name === undefined ? this.#keys.size() : this.#elements.size(this.#keys.children(name));
  }

  /** Removes every element that is seen here. O(n). */
  clear(key: string): void {
    this.#elements.clear(this.#keys.children(key));
  }

  /** The same as `clear`. */
  delete(key: string): void {
    this.clear(key);
  }

  /** The set of one key. It stays valid for ever. */
  at(key: string): SetHandle<E> {
    return new SetHandle(this, key);
  }

  /** The keys whose set is not empty, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }
}

/** The set of one key. */
export class SetHandle<E extends Name = string> {
  readonly #sets: SetCollection<E>;
  readonly key: string;

  constructor(sets: SetCollection<E>, key: string) {
    this.#sets = sets;
    this.key = key;
  }

  add(element: E): void {
    this.#sets.add(this.key, element);
  }

  remove(element: E): void {
    this.#sets.remove(this.key, element);
  }

  has(...element: readonly [] | readonly [E]): boolean {
    return element.length === 0 ? this.#sets.has(this.key) : this.#sets.has(this.key, element[0]);
  }

  values(): E[] {
    return this.#sets.values(this.key);
  }

  size(): number {
    return this.#sets.size(this.key);
  }

  clear(): void {
    this.#sets.clear(this.key);
  }

  delete(): void {
    this.#sets.clear(this.key);
  }
}
