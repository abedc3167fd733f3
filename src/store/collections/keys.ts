/** What every collection says of its keys. */
import { checkKey } from "../values.ts";
import type { Name } from "../../crdt/data-type.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Container, Root } from "../nodes.ts";
import { InvalidValueError } from "../../errors.ts";

/** Which keys to list. */
export interface KeysOptions {
  /** Only keys that start with it. */
  readonly prefix?: string;
  /** At most so many. */
  readonly limit?: number;
  /** Only keys after this one, in the order of UTF-16 code units. */
  readonly after?: string;
}

/** What a collection asks of its keys. */
export interface CollectionKeys {
  readonly keyspace: Keyspace;
  /** Nodes that may be written without asking `make`. */
  readonly quick: ReadonlyMap<Name, number>;
  /** Whether `make` writes by itself, so that what follows must not be refused. */
  readonly renews: boolean;
  /** The node of a key's content for reading: undefined if there is none. */
  find(key: string): number | undefined;
  /** The node of a key's content for writing. */
  make(key: string): number;
  /** The content's children for reading. */
  children(key: string): Container | undefined;
  /** The content's children for writing. */
  container(key: string): Container;
  /** The keys that have any content, in the order of code units. O(n log n). */
  list(options?: KeysOptions): string[];
  /** Whether the key has any content. O(1). */
  has(key: string): boolean;
  /** How many keys have any content. */
  size(): number;
  /** An observed remove of all under the key. */
  remove(key: string): void;
  /** Whether anything is live at or under a node. */
  isLive(node: number): boolean;
}

/** Found before the smallest of them are picked, besides twice as many as are asked for. */
const spareKeys = 64;

/** The keys of one collection. */
export class Keys implements CollectionKeys {
  readonly renews = false;
  readonly keyspace: Keyspace;
  readonly root: Root;
  readonly quick: ReadonlyMap<Name, number>;

  constructor(keyspace: Keyspace, root: Root) {
    this.keyspace = keyspace;
    this.root = root;
    this.quick = root.keys;
  }

  /** The key's node for reading: undefined if nothing was ever there. */
  find(key: string): number | undefined {
    if (this.keyspace.isClosed) this.keyspace.assertOpen();
    const node = this.root.keys.get(key);
    if (node === undefined) checkKey(key);
    return node;
  }

  /** The key's node for writing. */
  make(key: string): number {
    if (this.keyspace.isClosed) this.keyspace.assertOpen();
    return this.root.keys.get(key) ?? this.keyspace.key(this.root, checkKey(key));
  }

  /** The key's children for reading. */
  children(key: string): Container | undefined {
    const node = this.find(key);
    return node === undefined ? undefined : this.keyspace.nodes.container(node);
  }

  /** The key's children for writing. */
  container(key: string): Container {
    const container = this.keyspace.nodes.container(this.make(key));
    if (container === undefined) throw new Error("assertion: a key that is no container");
    return container;
  }

  /** The keys under which anything is live, in the order of code units. O(n log n); of a few, O(n). */
  list(options: KeysOptions = {}): string[] {
    return listKeys(this.keyspace, this.root, (node) => this.isLive(node), options);
  }

  /** Whether anything is live under the key. O(1). */
  has(key: string): boolean {
    const node = this.find(key);
    return node !== undefined && this.isLive(node);
  }

  /** How many keys have anything live. O(1). */
  size(): number {
    this.keyspace.assertOpen();
    return this.root.live;
  }

  /** An observed remove of all under the key. */
  remove(key: string): void {
    const node = this.find(key);
    if (node !== undefined) this.keyspace.clearAll(node);
  }

  /** Whether anything is live at or under a node. */
  isLive(node: number): boolean {
    return this.keyspace.isLive(node);
  }
}

/** The keys that show, as they were asked for. O(n log n). */
export function listKeys(
  keyspace: Keyspace,
  root: Root,
  isShown: (node: number) => boolean,
  options: KeysOptions,
): string[] {
  keyspace.assertOpen();
  const { prefix, after } = options;
  const limit = checkLimit(options) ?? Number.POSITIVE_INFINITY;
  let keys: string[] = [];
  /** Of the smallest that were found, the largest: what is not below it is not among them. */
  let last: string | undefined;
  for (const [key, node] of root.keys) {
    if (typeof key !== "string" || (last !== undefined && key >= last)) continue;
    if (prefix !== undefined && !key.startsWith(prefix)) continue;
    if ((after !== undefined && key <= after) || !isShown(node)) continue;
    keys.push(key);
    if (keys.length < 2 * limit + spareKeys) continue;
    keys = keys.sort().slice(0, limit);
    last = keys.at(-1);
  }
  keys.sort();
  return keys.length > limit ? keys.slice(0, limit) : keys;
}

/** How many keys were asked for. @throws InvalidValueError */
export function checkLimit({ limit }: KeysOptions): number | undefined {
  if (limit === undefined || (Number.isSafeInteger(limit) && limit >= 0)) return limit;
  throw new InvalidValueError(`the limit is ${limit}, not a number of keys`, {
    path: "limit",
    reason: "is not a non-negative integer",
  });
}
