/**
 * How does a transaction that throws leave nothing behind?
 *
 * Before a slot is first touched, its cells are saved. Cells that the transaction drops are kept out
 * of use until it ends, and their entries stay in the logs, so putting the rows back puts everything
 * back. Undoing is O(what was touched).
 */
import type { Cells, SavedSlot } from "../crdt/cells.ts";
import { UsageError } from "../errors.ts";
import type { Nodes } from "./nodes.ts";
import type { Retention } from "./retention.ts";

/** What it takes to undo one transaction. */
export class Undo {
  readonly #nodes: Nodes;
  readonly #cells: Cells;
  readonly #retention: Retention;
  readonly #slots = new Map<number, SavedSlot>();
  readonly #dropped: { readonly cell: number; readonly actor: number }[] = [];
  /** The first error of a nested call: the whole is undone, also when the caller caught it. */
  failure: { readonly error: unknown } | undefined;

  constructor(nodes: Nodes, cells: Cells, retention: Retention) {
    this.#nodes = nodes;
    this.#cells = cells;
    this.#retention = retention;
  }

  /** Saves the slot unless it was touched before. */
  remember(node: number): void {
    if (!this.#slots.has(node)) this.#slots.set(node, this.#cells.save(node));
  }

  /** Takes a cell out of its slot; it is in use until the transaction stands. */
  drop(cell: number): void {
    this.#dropped.push({ cell, actor: this.#cells.actor(cell) });
    this.#cells.detach(cell);
  }

  /** The transaction stands. */
  commit(): void {
    for (const { cell, actor } of this.#dropped) this.#cells.discard(cell, actor);
  }

  /** Everything is as it was before. `isLive` says of a slot whether anything is there now. */
  rollback(isLive: (node: number) => boolean): void {
    for (const slot of this.#slots.values()) this.#restore(slot, isLive);
  }

  #restore(saved: SavedSlot, isLive: (node: number) => boolean): void {
    const { slot } = saved;
    const cells = this.#cells;
    const wasLive = isLive(slot);
    for (const cell of cells.cellsOf(slot)) {
      if (!cells.isLive(cell)) this.#retention.unkeep();
      const actor = cells.actor(cell);
      const wasThere = saved.cells.some((one) => one.cell === cell && one.actor === actor);
      if (wasThere) cells.detach(cell);
      else cells.remove(cell);
    }
    cells.restore(saved);
    for (const cell of cells.cellsOf(slot)) {
      if (!cells.isLive(cell)) this.#retention.keep(cell, cells.sequence(cell));
    }
    if (isLive(slot) !== wasLive) this.#nodes.countLive(slot, wasLive ? -1 : 1);
  }
}

/** @throws UsageError for a promise: what follows its first wait would be outside. */
export function synchronous<T>(result: T): T {
  if (typeof result === "object" && result !== null && "then" in result) {
    // Nobody else will look at it, and an unhandled rejection ends the process.
    Promise.resolve(result).catch(() => {});
    throw new UsageError(
      "a transaction must be synchronous, but it returned a promise; it was undone",
    );
  }
  return result;
}
