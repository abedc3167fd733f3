/**
 * The tree of names: collections, keys, elements, entries, fields.
 *
 * Every name is a *node* with a number; a leaf is a slot, with cells. The number indexes typed
 * arrays, and it is what a frame says instead of the name once a link has announced it. A node that
 * has neither cells nor children is forgotten and its number used again, so names that were removed
 * leave nothing behind.
 */
import { type Cells, noCell } from "../crdt/cells.ts";
import { toldShape } from "../crdt/expiring.ts";
import { OverloadedError } from "../errors.ts";
import { collectionsMax, mismatch } from "./schema.ts";
import type { FieldsShape, ItemsShape, Name, Payload, Shape } from "../crdt/data-type.ts";

/** A node with children: an element's set, a map, an entry. */
export interface Container {
  readonly name: Name;
  readonly node: number;
  readonly shape: ItemsShape | FieldsShape;
  readonly children: Map<Name, number>;
}

/** The root of one collection's keys. */
export interface Root {
  readonly index: number;
  readonly name: string;
  readonly tag: string;
  readonly shape: Shape;
  readonly keys: Map<Name, number>;
  /** Keys under which anything is live. */
  live: number;
}

const kinds = { free: 0, sum: 1, mark: 2, stamped: 3, container: 4, aside: 5 } as const;
const payloads: readonly Payload[] = ["mark", "sum", "mark", "stamped", "mark", "stamped"];

/** No node. */
export const noNode = -1;

/**
 * All nodes of a replica. Each has a slot of its number, also one that is no leaf, where its parent and
 * its total stand. Parents of keys are collections, written `~index`.
 */
export class Nodes {
  readonly roots: Root[] = [];
  readonly #cells: Cells;
  readonly #rootOf = new Map<string, Root>();
  /** There is no node 0, as there is no such slot. */
  readonly #names: (Name | Container | undefined)[] = [undefined];
  readonly #recycled: number[] = [];
  #kinds = new Uint8Array(1024);

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  /** Numbers given so far, in use or not: all nodes are below. */
  get limit(): number {
    return this.#names.length;
  }

  /** Nodes in use. */
  get count(): number {
    return this.#names.length - 1 - this.#recycled.length;
  }

  /** Bytes of the arrays, without the slots. */
  get bytes(): number {
    return this.#kinds.byteLength + this.#names.length * 8;
  }

  /** The collection of that name, if there is one. */
  root(name: string): Root | undefined {
    return this.#rootOf.get(name);
  }

  /** A new collection. */
  addRoot(name: string, tag: string, shape: Shape): Root {
    const root = { index: this.roots.length, name, tag, shape, keys: new Map(), live: 0 };
    this.roots.push(root);
    this.#rootOf.set(name, root);
    return root;
  }

  /**
   * The collection that a peer or a store tells of, made if it is not known.
   * @throws SchemaMismatchError when the name has another type here; OverloadedError past the bound.
   */
  adopt(name: string, tag: string, shape: Shape): Root {
    const root = this.root(name);
    if (root === undefined) {
      if (this.roots.length >= collectionsMax) {
        throw new OverloadedError(`more than ${collectionsMax} collections`, {});
      }
      return this.addRoot(name, tag, toldShape(tag, shape));
    }
    if (root.tag !== tag) throw mismatch(name, root.tag, tag);
    return root;
  }

  /** A node for a key that has none. */
  addKey(root: Root, key: string): number {
    const node = this.#add(key, ~root.index, root.shape);
    root.keys.set(key, node);
    return node;
  }

  /** A node for a child that has none. The caller has checked that such a child may be. */
  addChild(parent: Container, name: Name): number {
    const node = this.#add(name, parent.node, childShape(parent.shape, name) as Shape);
    parent.children.set(name, node);
    return node;
  }

  /** A node that a store had, at its number, which is free. The caller has checked what it says. */
  restore(node: number, at: Root | Container, name: Name, shape: Shape): void {
    while (this.#names.length <= node) this.#names.push(undefined);
    if ("keys" in at) at.keys.set(name, node);
    else at.children.set(name, node);
    this.#set(node, name, "keys" in at ? ~at.index : at.node, shape);
  }

  /** All nodes are restored: numbers between them are free. */
  restored(): void {
    for (let node = 1; node < this.limit; node++) if (!this.isUsed(node)) this.#recycled.push(node);
  }

  /** Whether the number is in use. */
  isUsed(node: number): boolean {
    return node < this.limit && this.#kinds[node] !== kinds.free;
  }

  /** What a leaf's cells carry. */
  payload(node: number): Payload {
    return payloads[this.#kinds[node] as number] as Payload;
  }

  isContainer(node: number): boolean {
    return this.#kinds[node] === kinds.container;
  }

  isSum(node: number): boolean {
    return this.#kinds[node] === kinds.sum;
  }

  /** Whether the leaf stands beside the content of its key, and is none of it. */
  isAside(node: number): boolean {
    return this.#kinds[node] === kinds.aside;
  }

  /** Whether what is below a key has no names for users. */
  isOpaque(key: number): boolean {
    const shape = this.container(key)?.shape;
    return shape?.kind === "items" && shape.isOpaque === true;
  }

  /** Whether the content of the key stands one level down. */
  isEnvelope(key: number): boolean {
    const shape = this.container(key)?.shape;
    return shape?.kind === "fields" && shape.isEnvelope === true;
  }

  /** The container behind a node that is one. */
  container(node: number): Container | undefined {
    const entry = this.#names[node];
    return typeof entry === "object" && entry !== null ? entry : undefined;
  }

  name(node: number): Name {
    const entry = this.#names[node];
    if (typeof entry === "object" && entry !== null) return entry.name;
    return entry as Name;
  }

  /** The parent's node, or `~index` of the collection. */
  parent(node: number): number {
    return this.#cells.parent(node);
  }

  /** The collection that the node is under. */
  rootOf(node: number): Root {
    let parent = this.parent(node);
    while (parent >= 0) parent = this.parent(parent);
    return this.roots[~parent] as Root;
  }

  /** The key that the node is, or is under. */
  keyOf(node: number): number {
    let at = node;
    for (let parent = this.parent(at); parent >= 0; parent = this.parent(at)) at = parent;
    return at;
  }

  /** The first cell of a leaf, or `noCell`. */
  head(node: number): number {
    return this.#cells.head(node);
  }

  /** The sum of a counter, the live cells of another leaf, the live children of a container. */
  total(node: number): number {
    return this.#cells.total(node);
  }

  setTotal(node: number, total: number): void {
    this.#cells.setTotal(node, total);
  }

  /** A leaf has become live, or has ceased to be: its ancestors count it. */
  countLive(leaf: number, by: 1 | -1): void {
    if (this.#kinds[leaf] === kinds.aside) return;
    let parent = this.parent(leaf);
    while (parent >= 0) {
      const before = this.total(parent);
      this.setTotal(parent, before + by);
      if (before !== 0 && before + by !== 0) return;
      parent = this.parent(parent);
    }
    (this.roots[~parent] as Root).live += by;
  }

  /** Whether nothing hangs on the node. */
  isEmpty(node: number): boolean {
    const container = this.container(node);
    return container ? container.children.size === 0 : this.head(node) === noCell;
  }

  /** Forgets an empty node; its number may be used again. Returns its parent. */
  remove(node: number): number {
    const parent = this.parent(node);
    const siblings =
      parent < 0 ? (this.roots[~parent] as Root).keys : this.container(parent)?.children;
    siblings?.delete(this.name(node));
    this.#names[node] = undefined;
    this.#kinds[node] = kinds.free;
    this.#recycled.push(node);
    return parent;
  }

  #add(name: Name, parent: number, shape: Shape): number {
    const node = this.#recycled.pop() ?? this.#names.length;
    this.#set(node, name, parent, shape);
    return node;
  }

  #set(node: number, name: Name, parent: number, shape: Shape): void {
    while (node >= this.#kinds.length) this.#grow();
    if (shape.kind === "leaf") {
      this.#names[node] = name;
      this.#kinds[node] = shape.isAside ? kinds.aside : kinds[shape.payload];
    } else {
      this.#names[node] = { name, node, shape, children: new Map() };
      this.#kinds[node] = kinds.container;
    }
    this.#cells.openSlot(node, parent);
  }

  #grow(): void {
    const size = Math.ceil(this.#kinds.length * (this.#kinds.length < 1_000_000 ? 2 : 1.25));
    const kindsGrown = new Uint8Array(size);
    kindsGrown.set(this.#kinds);
    this.#kinds = kindsGrown;
  }
}

/** The shape of a child of that name, or undefined if there can be none. */
export function childShape(parent: Shape, name: Name): Shape | undefined {
  if (parent.kind === "items") {
    return parent.names === "element" || typeof name === "string" ? parent.item : undefined;
  }
  return parent.kind === "fields" && typeof name === "string" ? parent.fields.get(name) : undefined;
}
