/**
 * When may a removal be forgotten?
 *
 * A bare cell is kept so that the slot travels to those who have not heard of the removal. Once every
 * peer that we know has passed it, or there are more of them than we are willing to keep, it goes, and
 * the *floor* of its actor rises to it: who asks from below the floor gets a complete state.
 */
import type { Cells } from "../crdt/cells.ts";
import { VersionVector } from "../crdt/version-vector.ts";

/** Removals kept for peers that have not heard of them, however long they are silent. */
export const defaultLogEntriesMax = 1_000_000;

/** The removals that are kept, oldest first, and the floor below which some are gone. */
export class Retention {
  /** Changes up to here may be gone from the logs. */
  readonly floor: VersionVector = new VersionVector();
  readonly #cells: Cells;
  readonly #entriesMax: number;
  #queue: number[] = [];
  #start = 0;
  #bare = 0;
  /** Removals that were forgotten. */
  forgotten = 0;

  constructor(cells: Cells, entriesMax: number) {
    this.#cells = cells;
    this.#entriesMax = entriesMax;
  }

  /** Bare cells that are kept. */
  get count(): number {
    return this.#bare;
  }

  /** A cell has become bare, at the sequence that it has now or is about to get. */
  keep(cell: number, sequence: number): void {
    this.#bare++;
    this.#queue.push(cell, sequence);
    if (this.#queue.length - this.#start > 4 * this.#bare + 4096) this.#compact();
  }

  /** A bare cell has become live, or is gone. Its place in the queue is passed over later. */
  unkeep(): void {
    this.#bare--;
  }

  /**
   * Forgets what every vector in `passed` covers, and the oldest beyond the bound. At most
   * `cellsMax` at a time; calls `dropped` for the slot of each.
   * @returns whether there may be more to do.
   */
  forget(
    passed: readonly VersionVector[],
    dropped: (node: number) => void,
    cellsMax: number,
  ): boolean {
    for (let done = 0; this.#start < this.#queue.length; done++) {
      if (done === cellsMax) return true;
      const cell = this.#queue[this.#start] as number;
      const sequence = this.#queue[this.#start + 1] as number;
      if (this.#cells.isBareAt(cell, sequence)) {
        const actor = this.#cells.actor(cell);
        const needed = passed.some((vector) => vector.at(actor) < sequence);
        if (needed && this.#bare <= this.#entriesMax) break;
        this.floor.raise(actor, sequence);
        this.#drop(cell, dropped);
      }
      this.#start += 2;
    }
    if (this.#start > 4096 && this.#start * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#start);
      this.#start = 0;
    }
    return false;
  }

  #drop(cell: number, dropped: (node: number) => void): void {
    const node = this.#cells.slot(cell);
    this.#cells.remove(cell);
    this.#bare--;
    this.forgotten++;
    dropped(node);
  }

  /** Entries of cells that have moved on are worth nothing. */
  #compact(): void {
    const current: number[] = [];
    for (let i = this.#start; i < this.#queue.length; i += 2) {
      const cell = this.#queue[i] as number;
      const sequence = this.#queue[i + 1] as number;
      if (this.#cells.isBareAt(cell, sequence)) current.push(cell, sequence);
    }
    this.#queue = current;
    this.#start = 0;
  }
}
