/** What holders have shown of their figures to each other: a port, and the keyspace as what stands behind it. */
import {
  type HolderFigures,
  joinHolderFigures,
  readHolderFigures,
  writeHolderFigures,
} from "../../crdt/bounded-counter.ts";
import { noCell } from "../../crdt/cells.ts";
import { Keys, type KeysOptions } from "../../store/collections/keys.ts";
import type { Keyspace } from "../../store/keyspace.ts";
import type { Root } from "../../store/nodes.ts";
import type { HolderId } from "./holder-id.ts";

/** Sums over all holders. */
export interface Totals {
  readonly created: number;
  readonly spent: number;
}

/** The figures of one collection, as they are known here. */
export interface ShownFigures {
  /** Shows what a holder's disk has. Repeating it, or showing less than is known, changes nothing. */
  show(key: string, holder: HolderId, figures: HolderFigures): void;
  /** All holders of one counter. */
  of(key: string): Iterable<readonly [HolderId, HolderFigures]>;
  totals(key: string): Totals;
}

const nothing: Totals = { created: 0, spent: 0 };

/** In a keyspace: under each key a child for each holder. */
export class KeyspaceFigures implements ShownFigures {
  readonly #keyspace: Keyspace;
  readonly #root: Root;
  readonly #keys: Keys;
  /** By the node of a key. */
  readonly #totals = new Map<number, Totals>();

  constructor(keyspace: Keyspace, root: Root) {
    this.#keyspace = keyspace;
    this.#root = root;
    this.#keys = new Keys(keyspace, root);
    keyspace.listeners.add({
      flushed: () => undefined,
      joined: (nodes) => {
        if (this.#totals.size === 0) return;
        for (const node of nodes) this.#totals.delete(keyspace.nodes.keyOf(node));
      },
      forgot: (node) => void this.#totals.delete(node),
    });
  }

  show(key: string, holder: HolderId, figures: HolderFigures): void {
    // Also while the replica closes: what was spent until then is told before it ends.
    this.#keyspace.amend(() => this.#show(key, holder, figures));
  }

  #show(key: string, holder: HolderId, figures: HolderFigures): void {
    const known = this.#holder(key, holder);
    const next = known ? joinHolderFigures(known, figures) : figures;
    if (known && isSame(known, next)) return;
    if (!known && next.created === 0 && next.spent === 0 && next.phase === 0) return;
    const parent = this.#keys.container(key);
    this.#keyspace.assign(this.#keyspace.child(parent, holder), writeHolderFigures(next));
    const totals = this.#totals.get(parent.node);
    if (totals === undefined) return;
    this.#totals.set(parent.node, {
      created: totals.created + next.created - (known?.created ?? 0),
      spent: totals.spent + next.spent - (known?.spent ?? 0),
    });
  }

  *of(key: string): Generator<readonly [HolderId, HolderFigures]> {
    const children = this.#children(key);
    if (children === undefined) return;
    for (const [holder, node] of children) {
      const figures = this.#read(node);
      if (figures && typeof holder === "string") yield [holder, figures];
    }
  }

  totals(key: string): Totals {
    const node = this.#root.keys.get(key);
    if (node === undefined) return nothing;
    const known = this.#totals.get(node);
    if (known) return known;
    let [created, spent] = [0, 0];
    for (const [, figures] of this.of(key)) {
      created += figures.created;
      spent += figures.spent;
    }
    const totals = { created, spent };
    this.#totals.set(node, totals);
    return totals;
  }

  // What a collection says of its keys.

  /** With others that are not shown yet. */
  list(options: KeysOptions = {}, others: readonly string[] = []): string[] {
    if (others.length === 0) return this.#keys.list(options);
    const { limit, prefix = "", after } = options;
    const fitting = others.filter(
      (key) => key.startsWith(prefix) && (after === undefined || key > after),
    );
    const all = [...this.#keys.list(options), ...fitting].sort();
    return limit === undefined ? all : all.slice(0, limit);
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  size(): number {
    return this.#keys.size();
  }

  /** Before anything else is done with a key. @throws InvalidValueError, ClosedError */
  check(key: string): void {
    this.#keys.find(key);
  }

  /** Whether a transaction is running. */
  get isTransacting(): boolean {
    return this.#keyspace.isTransacting;
  }

  #children(key: string): ReadonlyMap<unknown, number> | undefined {
    const node = this.#root.keys.get(key);
    return node === undefined ? undefined : this.#keyspace.nodes.container(node)?.children;
  }

  #holder(key: string, holder: HolderId): HolderFigures | undefined {
    const node = this.#children(key)?.get(holder);
    return node === undefined ? undefined : this.#read(node);
  }

  /** Of concurrent cells of one holder the largest of each figure. */
  #read(node: number): HolderFigures | undefined {
    const { cells, nodes } = this.#keyspace;
    let all: HolderFigures | undefined;
    for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
      if (!cells.isLive(cell)) continue;
      const figures = readHolderFigures(cells.payload(cell));
      if (figures) all = all ? joinHolderFigures(all, figures) : figures;
    }
    return all;
  }
}

const isSame = (left: HolderFigures, right: HolderFigures): boolean =>
  left.created === right.created && left.spent === right.spent && left.phase === right.phase;
