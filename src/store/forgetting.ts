/** What a keyspace may forget: removals that everybody has heard of, and names that nothing hangs on. */
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Names } from "./names.ts";
import type { Nodes } from "./nodes.ts";
import type { Retention } from "./retention.ts";

/** Forgets, a bounded step at a time. */
export class Forgetting {
  readonly #nodes: Nodes;
  readonly #retention: Retention;
  readonly #names: Names;
  readonly #forgot: (node: number) => void;

  /** `forgot` is called when a removal that a node kept, or the node itself, is gone. */
  constructor(nodes: Nodes, retention: Retention, names: Names, forgot: (node: number) => void) {
    this.#nodes = nodes;
    this.#retention = retention;
    this.#names = names;
    this.#forgot = forgot;
  }

  /** Whether there are removals or names that may be forgotten some time. */
  get isDue(): boolean {
    return this.#retention.count > 0 || this.#names.hasToForget;
  }

  /**
   * Forgets removals that every vector in `passed` covers, and names that nothing hangs on.
   * A bounded step: at most `cellsMax` of each. Returns whether there may be more to do.
   */
  step(passed: readonly VersionVector[], cellsMax: number): boolean {
    const dropped = (node: number): void => {
      this.#forgot(node);
      if (this.#nodes.isEmpty(node)) this.#names.emptied(node);
    };
    const more = this.#retention.forget(passed, dropped, cellsMax);
    return this.#names.forget(cellsMax, this.#forgot) || more;
  }
}
