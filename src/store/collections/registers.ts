/** Registers by key: last writer wins, or all concurrent values. */
import { noCell } from "../../crdt/cells.ts";
import type { Name } from "../../crdt/data-type.ts";
import { wins } from "../../crdt/lww-register.ts";
import type { Keyspace } from "../keyspace.ts";
import { copyValue, type Json } from "../values.ts";
import type { CollectionKeys, KeysOptions } from "./keys.ts";

/** The live cells of a stamped slot, the one that wins first. */
export function liveCells(keyspace: Keyspace, node: number): number[] {
  const { cells, clock, actors, nodes } = keyspace;
  const live: number[] = [];
  for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
    if (cells.isLive(cell)) live.push(cell);
  }
  if (live.length < 2) return live;
  const write = (cell: number): { stamp: number; held: boolean; actor: string } => ({
    stamp: cells.value(cell),
    held: clock.isHeld(cells.value(cell)),
    actor: actors.name(cells.actor(cell)),
  });
  return live.sort((left, right) => (wins(write(left), write(right)) ? -1 : 1));
}

/** The value of a last-writer-wins slot, or undefined. */
export function latest(keyspace: Keyspace, node: number | undefined): Json | undefined {
  if (node === undefined) return undefined;
  const { cells, nodes } = keyspace;
  const head = nodes.head(node);
  if (head === noCell) return undefined;
  // Almost always there is one cell, and nothing to decide.
  const winner = cells.next(head) === noCell ? head : liveCells(keyspace, node)[0];
  return winner !== undefined && cells.isLive(winner) ? (cells.payload(winner) as Json) : undefined;
}

/** All values of a multi-value slot, latest stamp first. */
export const allValues = (keyspace: Keyspace, node: number | undefined): Json[] =>
  node === undefined
    ? []
    : liveCells(keyspace, node).map((cell) => keyspace.cells.payload(cell) as Json);

/** A collection of last-writer-wins registers. */
export class LwwRegisterCollection<V = unknown> {
  readonly #keys: CollectionKeys;
  readonly #keyspace: Keyspace;
  readonly #nodes: ReadonlyMap<Name, number>;

  constructor(keys: CollectionKeys) {
    this.#keys = keys;
    this.#keyspace = keys.keyspace;
    this.#nodes = keys.quick;
  }

  /** Sets a copy of a JSON value. O(size). @throws InvalidValueError */
  set(key: string, value: V): void {
    const copy = copyValue(value);
    this.#keyspace.assign(this.#nodes.get(key) ?? this.#keys.make(key), copy);
  }

  /** The value, frozen; undefined if absent. O(1) but for concurrent writes. */
  get(key: string): V | undefined {
    return latest(this.#keys.keyspace, this.#keys.find(key)) as V | undefined;
  }

  /** Removes what is seen here; a concurrent set survives. O(1). */
  delete(key: string): void {
    this.#keys.remove(key);
  }

  /** The register of one key. It stays valid for ever. */
  at(key: string): LwwRegisterHandle<V> {
    return new LwwRegisterHandle(this, key);
  }

  /** The keys that have a value, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** Whether the key has a value. O(1). */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** How many keys have a value. O(1). */
  size(): number {
    return this.#keys.size();
  }
}

/** The register of one key. */
export class LwwRegisterHandle<V = unknown> {
  readonly #registers: LwwRegisterCollection<V>;
  readonly key: string;

  constructor(registers: LwwRegisterCollection<V>, key: string) {
    this.#registers = registers;
    this.key = key;
  }

  set(value: V): void {
    this.#registers.set(this.key, value);
  }

  get(): V | undefined {
    return this.#registers.get(this.key);
  }

  delete(): void {
    this.#registers.delete(this.key);
  }

  has(): boolean {
    return this.#registers.has(this.key);
  }
}

/** A collection of multi-value registers. */
export class MvRegisterCollection<V = unknown> {
  readonly #keys: CollectionKeys;
  readonly #keyspace: Keyspace;
  readonly #nodes: ReadonlyMap<Name, number>;

  constructor(keys: CollectionKeys) {
    this.#keys = keys;
    this.#keyspace = keys.keyspace;
    this.#nodes = keys.quick;
  }

  /** Sets a copy of a JSON value; it replaces all that are seen here. @throws InvalidValueError */
  set(key: string, value: V): void {
    const copy = copyValue(value);
    this.#keyspace.assign(this.#nodes.get(key) ?? this.#keys.make(key), copy);
  }

  /** All values that were set concurrently, latest stamp first, frozen. */
  get(key: string): V[] {
    return allValues(this.#keys.keyspace, this.#keys.find(key)) as V[];
  }

  /** Removes what is seen here; a concurrent set survives. O(1). */
  delete(key: string): void {
    this.#keys.remove(key);
  }

  /** The register of one key. It stays valid for ever. */
  at(key: string): MvRegisterHandle<V> {
    return new MvRegisterHandle(this, key);
  }

  /** The keys that have a value, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** Whether the key has a value. O(1). */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** How many keys have a value. O(1). */
  size(): number {
    return this.#keys.size();
  }
}

/** The register of one key. */
export class MvRegisterHandle<V = unknown> {
  readonly #registers: MvRegisterCollection<V>;
  readonly key: string;

  constructor(registers: MvRegisterCollection<V>, key: string) {
    this.#registers = registers;
    this.key = key;
  }

  set(value: V): void {
    this.#registers.set(this.key, value);
  }

  get(): V[] {
    return this.#registers.get(this.key);
  }

  delete(): void {
    this.#registers.delete(this.key);
  }

  has(): boolean {
    return this.#registers.has(this.key);
  }
}
