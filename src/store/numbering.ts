/**
 * Names are said once on a link; afterwards a number stands for them. One side of that is a bit for
 * each node that was named, the other a table from the sender's numbers to ours.
 */
import type { NodeUser } from "./names.ts";

/** A growing set of small numbers, a bit each. */
export class NumberSet {
  #bits = new Uint32Array(32);

  has(number: number): boolean {
    const word = number >>> 5;
    return word < this.#bits.length && ((this.#bits[word] as number) & (1 << (number & 31))) !== 0;
  }

  add(number: number): void {
    const word = number >>> 5;
    if (word >= this.#bits.length) {
      const grown = new Uint32Array(Math.max(word + 1, this.#bits.length * 2));
      grown.set(this.#bits);
      this.#bits = grown;
    }
    this.#bits[word] = (this.#bits[word] as number) | (1 << (number & 31));
  }

  delete(number: number): void {
    const word = number >>> 5;
    if (word < this.#bits.length) {
      this.#bits[word] = (this.#bits[word] as number) & ~(1 << (number & 31));
    }
  }
}

/** What we have named to the peer. */
export class NamedNumbers implements NodeUser {
  readonly nodes: NumberSet = new NumberSet();
  readonly actors: NumberSet = new NumberSet();
  readonly roots: NumberSet = new NumberSet();
  readonly #forgotten: () => void;
  #stale = 0;

  /** Calls `forgotten` when a named node is gone and its number may be used again. */
  constructor(forgotten: () => void) {
    this.#forgotten = forgotten;
  }

  /** Named nodes that are forgotten by now: the peer cannot forget them until we renumber. */
  get stale(): number {
    return this.#stale;
  }

  uses(): boolean {
    return false;
  }

  forgot(node: number): void {
    if (!this.nodes.has(node)) return;
    this.nodes.delete(node);
    this.#stale++;
    this.#forgotten();
  }
}

const pageBits = 6;
const pageSize = 1 << pageBits;
/** No number was given: our numbers start at 0, so tables hold them plus one. */
const unknown = -1;

/** A table from the peer's numbers to ours, in pages: a far number costs one page. */
class NumberTable {
  readonly #pages = new Map<number, Int32Array>();
  #last = -1;
  #page: Int32Array | undefined;

  get(theirs: number): number {
    const index = theirs >>> pageBits;
    if (index !== this.#last) {
      this.#last = index;
      this.#page = this.#pages.get(index);
    }
    return this.#page === undefined ? unknown : (this.#page[theirs & (pageSize - 1)] as number) - 1;
  }

  set(theirs: number, ours: number): void {
    const index = theirs >>> pageBits;
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Int32Array(pageSize);
      this.#pages.set(index, page);
    }
    page[theirs & (pageSize - 1)] = ours + 1;
    this.#last = -1;
  }
}

/** What the peer has named to us; nodes in it are kept, since it may write to them. */
export class NumbersTheyUse implements NodeUser {
  readonly #nodes = new NumberTable();
  readonly #actors = new NumberTable();
  readonly #namedActors = new NumberSet();
  readonly #roots = new Map<number, number>();
  readonly #used = new NumberSet();

  /** Our number for their node, or -1. */
  node(theirs: number): number {
    return this.#nodes.get(theirs);
  }

  nameNode(theirs: number, ours: number): void {
    this.#nodes.set(theirs, ours);
    this.#used.add(ours);
  }

  /** Our number for their actor, or -1. */
  actor(theirs: number): number {
    return this.#actors.get(theirs);
  }

  /** Refuses a second number for an actor, and a second actor for a number. */
  nameActor(theirs: number, ours: number): boolean {
    const before = this.#actors.get(theirs);
    if (before === ours) return true;
    if (before >= 0 || this.#namedActors.has(ours)) return false;
    this.#namedActors.add(ours);
    this.#actors.set(theirs, ours);
    return true;
  }

  /** Our number for their collection, or undefined. */
  root(theirs: number): number | undefined {
    return this.#roots.get(theirs);
  }

  nameRoot(theirs: number, ours: number): void {
    this.#roots.set(theirs, ours);
  }

  uses(node: number): boolean {
    return this.#used.has(node);
  }

  forgot(): void {
    // A node in use is never forgotten.
  }
}
