/**
 * What do local writes change, by collection? A write that only moves a counter on knows nothing of its
 * collection, and takes a few nanoseconds: counting it would cost as much as it does. So the slots of each
 * batch are counted when it is closed, and only where somebody takes the figures.
 */
import type { Keyspace } from "./keyspace.ts";
import type { KeyspaceListener } from "./keyspace-listener.ts";

/** What a batch did to a slot. */
export type ChangeKind = "increment" | "add" | "set" | "remove";

/** In the order in which they are counted; `payload` of a live slot tells which. */
const kinds: readonly ChangeKind[] = ["increment", "add", "set", "remove"];
const kindOf = { sum: 0, mark: 1, stamped: 2 } as const;
const removed = 3;

/** Batches of at most so many slots are told apart by size; what is larger is `more`. */
const sizes = [1, 10, 100, 1_000, 10_000] as const;

/** Changes of one collection. */
export interface ChangeCount {
  readonly collection: string;
  readonly kind: ChangeKind;
  readonly count: number;
}

/** Counts the batches of one keyspace. */
export class WriteCounts implements KeyspaceListener {
  readonly #keyspace: Keyspace;
  /** So many kinds for each collection, in their order. */
  #counts = new Float64Array(64);
  /** By the places of `sizes`, and the rest. */
  readonly #batches = new Float64Array(sizes.length + 1);

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
    keyspace.listeners.add(this);
  }

  /** O(slots of the batch). */
  flushed(): void {
    const { cells, nodes, held, me } = this.#keyspace;
    const log = cells.log(me);
    const first = log.firstAfter(held.at(me) - 1);
    if (this.#counts.length < nodes.roots.length * kinds.length) this.#grow(nodes.roots.length);
    for (let entry = first; entry < log.count; entry++) {
      const cell = log.cell(entry);
      const slot = cells.slot(cell);
      let parent = nodes.parent(slot);
      while (parent >= 0) parent = nodes.parent(parent);
      const kind = cells.isLive(cell) ? kindOf[nodes.payload(slot)] : removed;
      const place = ~parent * kinds.length + kind;
      this.#counts[place] = (this.#counts[place] as number) + 1;
    }
    let size = 0;
    while (size < sizes.length && log.count - first > (sizes[size] as number)) size++;
    this.#batches[size] = (this.#batches[size] as number) + 1;
  }

  joined(): void {}

  /** All that were counted so far. O(collections). */
  *changes(): Generator<ChangeCount> {
    for (const { index, name } of this.#keyspace.nodes.roots) {
      for (const [place, kind] of kinds.entries()) {
        const count = this.#counts[index * kinds.length + place] ?? 0;
        if (count > 0) yield { collection: name, kind, count };
      }
    }
  }

  /** Batches so far, by how many slots they have at most. */
  *batches(): Generator<{ readonly slots: string; readonly count: number }> {
    for (const [place, count] of this.#batches.entries()) {
      yield { slots: String(sizes[place] ?? "more"), count };
    }
  }

  #grow(roots: number): void {
    const counts = new Float64Array(roots * kinds.length * 2);
    counts.set(this.#counts);
    this.#counts = counts;
  }
}
