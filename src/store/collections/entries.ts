/** Observed-remove maps by key: entries that are records of CRDT fields. */
import type { Name } from "../../crdt/data-type.ts";
import type { FieldType, FieldTypes, OrMapType } from "../../crdt/or-map.ts";
import { UsageError } from "../../errors.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container } from "../nodes.ts";
import { checkElement, checkKey, copyValue, type Json } from "../values.ts";
import type { CollectionKeys, KeysOptions } from "./keys.ts";
import { Fields } from "./maps.ts";
import { namedMembers } from "./named-members.ts";
import { allValues, latest } from "./registers.ts";
import { Elements } from "./sets.ts";
import type { EntryHandle, EntrySnapshot } from "./types.ts";

/** Where an entry is; nothing is made until something is written under it. */
interface EntryPlace {
  readonly keys: CollectionKeys;
  readonly key: string;
  readonly entry: string;
}

/** A collection of observed-remove maps. */
export class OrMapCollection<F extends FieldTypes> {
  readonly #keys: CollectionKeys;
  readonly #type: OrMapType<F>;

  constructor(keys: CollectionKeys, type: OrMapType<F>) {
    this.#keys = keys;
    this.#type = type;
  }

  /** The fields of one entry. It creates nothing, and stays valid for ever. */
  entry(key: string, entry: string): EntryHandle<F> {
    this.#keys.find(key);
    const place = { keys: this.#keys, key, entry: checkKey(entry, "the entry") };
    const handles = Object.entries(this.#type.fields).map(
      ([field, type]) => [field, fieldHandle(place, field, type)] as const,
    );
    return namedMembers(handles) as EntryHandle<F>;
  }

  /** The entries that hold anything, with a plain copy of their fields. O(what they hold). */
  entries(key: string): [string, EntrySnapshot<F>][] {
    const map = this.#keys.children(key);
    const entries: [string, EntrySnapshot<F>][] = [];
    for (const [entry, node] of map?.children ?? []) {
      if (!this.#keys.isLive(node)) continue;
      entries.push([String(entry), this.#snapshot(node)]);
    }
    return entries;
  }

  /** Whether the entry holds anything. O(1). */
  has(key: string, entry: string): boolean;
  /** Whether any entry holds anything. O(1). */
  has(key: string): boolean;
  has(key: string, ...entry: readonly string[]): boolean {
    const [name] = entry;
    if (name === undefined) return this.#keys.has(key);
    const node = this.#find(key, name);
    return node !== undefined && this.#keys.isLive(node);
  }

  /** Removes what is seen here of the entry, or of all entries. O(what is removed). */
  delete(key: string, ...entry: readonly [] | readonly [entry: string]): void {
    if (entry.length === 0) {
      this.#keys.remove(key);
      return;
    }
    const node = this.#find(key, entry[0]);
    if (node !== undefined) this.#keys.keyspace.clearAll(node);
  }

  /** The map of one key. It stays valid for ever. */
  at(key: string): OrMapHandle<F> {
    return new OrMapHandle(this, key);
  }

  /** The keys whose map has any entry, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** How many keys have a map with any entry, or entries a map has. O(1). */
  size(...key: readonly [] | readonly [key: string]): number {
    if (key.length === 0) return this.#keys.size();
    const map = this.#keys.children(key[0]);
    return map === undefined ? 0 : this.#keys.keyspace.nodes.total(map.node);
  }

  #find(key: string, entry: string): number | undefined {
    const name = checkKey(entry, "the entry");
    return this.#keys.children(key)?.children.get(name);
  }

  #snapshot(entry: number): EntrySnapshot<F> {
    const { keyspace } = this.#keys;
    const fields = keyspace.nodes.container(entry)?.children;
    const snapshot = Object.create(null) as Record<string, unknown>;
    for (const [name, type] of Object.entries(this.#type.fields)) {
      snapshot[name] = readField(keyspace, fields?.get(name), type);
    }
    return Object.freeze(snapshot) as EntrySnapshot<F>;
  }
}

/** The map of one key. */
export class OrMapHandle<F extends FieldTypes> {
  readonly #maps: OrMapCollection<F>;
  readonly key: string;

  constructor(maps: OrMapCollection<F>, key: string) {
    this.#maps = maps;
    this.key = key;
  }

  entry(entry: string): EntryHandle<F> {
    return this.#maps.entry(this.key, entry);
  }

  entries(): [string, EntrySnapshot<F>][] {
    return this.#maps.entries(this.key);
  }

  has(...entry: readonly [] | readonly [entry: string]): boolean {
    return entry.length === 0 ? this.#maps.has(this.key) : this.#maps.has(this.key, entry[0]);
  }

  delete(...entry: readonly [] | readonly [entry: string]): void {
    this.#maps.delete(this.key, ...entry);
  }

  size(): number {
    return this.#maps.size(this.key);
  }
}

function readField(keyspace: Keyspace, node: number | undefined, type: FieldType): unknown {
  const container = node === undefined ? undefined : keyspace.nodes.container(node);
  switch (type.kind) {
    case "lww-register":
      return latest(keyspace, node);
    case "mv-register":
      return allValues(keyspace, node);
    case "flag":
      return node !== undefined && keyspace.isLive(node);
    case "or-set":
      return new Elements(keyspace).values(container);
    case "lww-map":
      return new Fields(keyspace).entries(container);
  }
}

function fieldHandle(place: EntryPlace, field: string, type: FieldType): unknown {
  switch (type.kind) {
    case "lww-register":
      return new EntryRegister(new EntryField(place, field), latest);
    case "mv-register":
      return new EntryRegister(new EntryField(place, field), allValues);
    case "flag":
      return new EntryFlag(new EntryField(place, field));
    case "or-set":
      return new EntrySet(new EntryField(place, field));
    case "lww-map":
      return new EntryMap(new EntryField(place, field));
    default:
      throw new UsageError(`an entry cannot have a field of type ${String(type satisfies never)}`);
  }
}

/** One field of one entry, found anew at each call: entries come and go. */
class EntryField {
  readonly #place: EntryPlace;
  readonly #field: string;

  constructor(place: EntryPlace, field: string) {
    this.#place = place;
    this.#field = field;
  }

  get keyspace(): Keyspace {
    return this.#place.keys.keyspace;
  }

  /** Whether making it writes by itself. */
  get renews(): boolean {
    return this.#place.keys.renews;
  }

  find(): number | undefined {
    const { keys, key, entry } = this.#place;
    const node = keys.children(key)?.children.get(entry);
    return node === undefined
      ? undefined
      : keys.keyspace.nodes.container(node)?.children.get(this.#field);
  }

  make(): number {
    const { keys, key, entry } = this.#place;
    const { keyspace } = keys;
    const node = keyspace.child(keys.container(key), entry);
    return keyspace.child(this.#container(node), this.#field);
  }

  children(): Container | undefined {
    const node = this.find();
    return node === undefined ? undefined : this.keyspace.nodes.container(node);
  }

  container(): Container {
    return this.#container(this.make());
  }

  isLive(): boolean {
    const node = this.find();
    return node !== undefined && this.keyspace.isLive(node);
  }

  clear(): void {
    const node = this.find();
    if (node !== undefined) this.keyspace.clearAll(node);
  }

  #container(node: number): Container {
    const container = this.keyspace.nodes.container(node);
    if (container === undefined) throw new Error("assertion: an entry that is no container");
    return container;
  }
}

class EntryRegister {
  readonly #field: EntryField;
  readonly #read: (keyspace: Keyspace, node: number | undefined) => unknown;

  constructor(field: EntryField, read: (keyspace: Keyspace, node: number | undefined) => unknown) {
    this.#field = field;
    this.#read = read;
  }

  set(value: unknown): void {
    const copy: Json = copyValue(value);
    this.#field.keyspace.assign(this.#field.make(), copy);
  }

  get(): unknown {
    return this.#read(this.#field.keyspace, this.#field.find());
  }

  delete(): void {
    this.#field.clear();
  }

  has(): boolean {
    return this.#field.isLive();
  }
}

class EntryFlag {
  readonly #field: EntryField;

  constructor(field: EntryField) {
    this.#field = field;
  }

  enable(): void {
    this.#field.keyspace.mark(this.#field.make());
  }

  disable(): void {
    this.#field.clear();
  }

  isEnabled(): boolean {
    return this.#field.isLive();
  }
}

class EntrySet {
  readonly #field: EntryField;
  readonly #elements: Elements;

  constructor(field: EntryField) {
    this.#field = field;
    this.#elements = new Elements(field.keyspace);
  }

  add(element: Name): void {
    if (this.#field.renews) checkElement(element);
    this.#elements.add(this.#field.container(), element);
  }

  remove(element: Name): void {
    this.#elements.remove(this.#field.children(), element);
  }

  has(element: Name): boolean {
    return this.#elements.has(this.#field.children(), element);
  }

  values(): Name[] {
    return this.#elements.values(this.#field.children());
  }

  size(): number {
    return this.#elements.size(this.#field.children());
  }

  clear(): void {
    this.#field.clear();
  }
}

class EntryMap {
  readonly #field: EntryField;
  readonly #fields: Fields;

  constructor(field: EntryField) {
    this.#field = field;
    this.#fields = new Fields(field.keyspace);
  }

  set(field: string, value: unknown): void {
    checkKey(field, "the field");
    const copy = copyValue(value);
    this.#fields.set(this.#field.container(), field, copy);
  }

  get(field: string): unknown {
    return this.#fields.get(this.#field.children(), field);
  }

  has(field: string): boolean {
    return this.#fields.has(this.#field.children(), field);
  }

  delete(field: string): void {
    this.#fields.delete(this.#field.children(), field);
  }

  entries(): [string, unknown][] {
    return this.#fields.entries(this.#field.children());
  }
}
