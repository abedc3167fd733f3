/** Last-writer-wins maps by key, and the fields of one. */
import type { Keyspace } from "../keyspace.ts";
import type { Container } from "../nodes.ts";
import { checkKey, copyValue, type Json } from "../values.ts";
import type { CollectionKeys, KeysOptions } from "./keys.ts";
import { latest } from "./registers.ts";

/** The fields under one container: a map of a collection, or a field of an entry. */
export class Fields {
  readonly #keyspace: Keyspace;

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  set(map: Container, field: string, copy: Json): void {
    const child = map.children.get(field);
    this.#keyspace.assign(child ?? this.#keyspace.child(map, field), copy);
  }

  get(map: Container | undefined, field: string): Json | undefined {
    return latest(this.#keyspace, this.#find(map, field));
  }

  has(map: Container | undefined, field: string): boolean {
    const child = this.#find(map, field);
    return child !== undefined && this.#keyspace.isLive(child);
  }

  delete(map: Container | undefined, field: string): void {
    const child = this.#find(map, field);
    if (child !== undefined) this.#keyspace.clear(child);
  }

  entries(map: Container | undefined): [string, Json][] {
    const entries: [string, Json][] = [];
    if (map === undefined) return entries;
    for (const [field, child] of map.children) {
      const value = latest(this.#keyspace, child);
      if (value !== undefined) entries.push([String(field), value]);
    }
    return entries;
  }

  #find(map: Container | undefined, field: string): number | undefined {
    const name = checkKey(field, "the field");
    return map?.children.get(name);
  }
}

/** A collection of last-writer-wins maps. */
export class LwwMapCollection<V = unknown> {
  readonly #keys: CollectionKeys;
  readonly #fields: Fields;

  constructor(keys: CollectionKeys) {
    this.#keys = keys;
    this.#fields = new Fields(keys.keyspace);
  }

  /** Sets a field to a copy of a JSON value. O(size). @throws InvalidValueError */
  set(key: string, field: string, value: V): void {
    checkKey(field, "the field");
    const copy = copyValue(value);
    this.#fields.set(this.#keys.container(key), field, copy);
  }

  /** The field's value, frozen; undefined if absent. O(1). */
  get(key: string, field: string): V | undefined {
    return this.#fields.get(this.#keys.children(key), field) as V | undefined;
  }

  /** Whether the map has the field. O(1). */
  has(key: string, field: string): boolean;
  /** Whether the map has any field. O(1). */
  has(key: string): boolean;
  has(key: string, ...field: readonly string[]): boolean {
    const [name] = field;
    return name === undefined
      ? this.#keys.has(key)
      : this.#fields.has(this.#keys.children(key), name);
  }

  /** Removes what is seen here of the field, or of the whole map. O(what is removed). */
  delete(key: string, ...field: readonly [] | readonly [field: string]): void {
    if (field.length === 0) this.#keys.remove(key);
    else this.#fields.delete(this.#keys.children(key), field[0]);
  }

  /** The fields and their values, in no particular order. O(n). */
  entries(key: string): [string, V][] {
    return this.#fields.entries(this.#keys.children(key)) as [string, V][];
  }

  /** The map of one key. It stays valid for ever. */
  at(key: string): LwwMapHandle<V> {
    return new LwwMapHandle(this, key);
  }

  /** The keys whose map has any field, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** How many keys have a map with any field, or fields a map has. O(1). */
  size(...key: readonly [] | readonly [key: string]): number {
    if (key.length === 0) return this.#keys.size();
    const map = this.#keys.children(key[0]);
    return map === undefined ? 0 : this.#keys.keyspace.nodes.total(map.node);
  }
}

/** The map of one key. */
export class LwwMapHandle<V = unknown> {
  readonly #maps: LwwMapCollection<V>;
  readonly key: string;

  constructor(maps: LwwMapCollection<V>, key: string) {
    this.#maps = maps;
    this.key = key;
  }

  set(field: string, value: V): void {
    this.#maps.set(this.key, field, value);
  }

  get(field: string): V | undefined {
    return this.#maps.get(this.key, field);
  }

  has(...field: readonly [] | readonly [field: string]): boolean {
    return field.length === 0 ? this.#maps.has(this.key) : this.#maps.has(this.key, field[0]);
  }

  delete(...field: readonly [] | readonly [field: string]): void {
    this.#maps.delete(this.key, ...field);
  }

  entries(): [string, V][] {
    return this.#maps.entries(this.key);
  }

  size(): number {
    return this.#maps.size(this.key);
  }
}
