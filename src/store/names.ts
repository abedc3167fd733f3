/**
 * Which names can be forgotten? Those that nothing hangs on and that no link refers to by number. A
 * link's numbers are its own matter; a node that one of them means is kept until that link names anew
 * or is gone.
 */
import type { Nodes } from "./nodes.ts";

/** A link's numbering, which may refer to nodes that would otherwise be forgotten. */
export interface NodeUser {
  /** Whether the number is in use there: the node must stay. */
  uses(node: number): boolean;
  /** The node is gone; its number may come to mean another one. */
  forgot(node: number): void;
}

/** Forgets the names of one keyspace. */
export class Names {
  readonly #nodes: Nodes;
  readonly #users = new Set<NodeUser>();
  /** Made since the last batch or frame; some of them for nothing. */
  #fresh: number[] = [];
  /** Nothing hangs on these, or did not when they were put here. */
  readonly #emptied: number[] = [];
  /** Nor on these, but a link refers to them. */
  readonly #pinned = new Set<number>();

  constructor(nodes: Nodes) {
    this.#nodes = nodes;
  }

  /** Whether there is anything to look at. */
  get hasToForget(): boolean {
    return this.#emptied.length > 0;
  }

  /** A node was made; whether anything came to hang on it is seen at `settle`. */
  made(node: number): void {
    this.#fresh.push(node);
  }

  /** A node has lost its last cell: it is forgotten in time. */
  emptied(node: number): void {
    this.#emptied.push(node);
  }

  /** A batch or a frame is through. O(names made). */
  settle(): void {
    if (this.#fresh.length === 0) return;
    for (const node of this.#fresh) {
      if (this.#nodes.isUsed(node) && this.#nodes.isEmpty(node)) this.#emptied.push(node);
    }
    this.#fresh = [];
  }

  /** A link's numbering refers to nodes from now on. */
  use(user: NodeUser): void {
    this.#users.add(user);
  }

  /** A numbering is gone: what only it referred to can be forgotten. */
  release(user: NodeUser): void {
    if (!this.#users.delete(user)) return;
    for (const node of this.#pinned) this.#emptied.push(node);
    this.#pinned.clear();
  }

  /** Forgets at most `namesMax` names, calls `forgot` for each; returns whether there may be more to do. */
  forget(namesMax: number, forgot: (node: number) => void): boolean {
    for (let left = namesMax; left > 0; left--) {
      const node = this.#emptied.pop();
      if (node === undefined) return false;
      this.#forget(node, forgot);
    }
    return this.#emptied.length > 0;
  }

  /** The node, and every ancestor that has nothing else under it. */
  #forget(start: number, forgot: (node: number) => void): void {
    for (let node = start; node >= 0;) {
      if (!this.#nodes.isUsed(node) || !this.#nodes.isEmpty(node)) return;
      for (const user of this.#users) {
        if (!user.uses(node)) continue;
        this.#pinned.add(node);
        return;
      }
      const parent = this.#nodes.remove(node);
      for (const user of this.#users) user.forgot(node);
      forgot(node);
      node = parent;
    }
  }
}
