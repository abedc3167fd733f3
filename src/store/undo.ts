/**
 * How does a transaction that throws leave nothing behind?
 *
 * Before a slot is first touched, its cells are saved. Cells that the transaction drops are kept out
 * of use until it ends, and their entries stay in the logs, so putting the rows back puts everything
 * back. Undoing is O(what was touched).
 */
import { type Cells, noCell, type SavedCell } from "../crdt/cells.ts";
import { UsageError } from "../errors.ts";
import type { Nodes } from "./nodes.ts";
import type { Retention } from "./retention.ts";

interface SavedSlot {
  readonly node: number;
  readonly head: number;
  readonly total: number;
  readonly cells: readonly SavedCell[];
}

/** What it takes to undo one transaction. */
export class Undo {
  readonly #nodes: Nodes;
  readonly #cells: Cells;
  readonly #retention: Retention;
  readonly #slots = new Map<number, SavedSlot>();
  readonly #dropped: { readonly node: number; readonly cell: number }[] = [];
  /** The first error of a nested call: the whole is undone, also when the caller caught it. */
  failure: { readonly error: unknown } | undefined;

  constructor(nodes: Nodes, cells: Cells, retention: Retention) {
    this.#nodes = nodes;
    this.#cells = cells;
    this.#retention = retention;
  }

  /** Saves the slot unless it was touched before. */
  remember(node: number): void {
    if (this.#slots.has(node)) return;
    const cells: SavedCell[] = [];
    const head = this.#nodes.head(node);
    for (let cell = head; cell !== noCell; cell = this.#cells.next(cell)) {
      cells.push(this.#cells.save(cell));
    }
    this.#slots.set(node, { node, head, total: this.#nodes.total(node), cells });
  }

  /** A cell that is in no list any more, to be released if the transaction stands. */
  drop(node: number, cell: number): void {
    this.#dropped.push({ node, cell });
  }

  /** The transaction stands. */
  commit(): void {
    for (const { node, cell } of this.#dropped) {
      this.#cells.release(this.#nodes.payload(node), cell);
    }
  }

  /** Everything is as it was before. `wasLive` says of a slot's total whether anything is there. */
  rollback(isLive: (node: number) => boolean): void {
    for (const slot of this.#slots.values()) this.#restore(slot, isLive);
  }

  #restore(slot: SavedSlot, isLive: (node: number) => boolean): void {
    const { node } = slot;
    const wasLive = isLive(node);
    const before = new Set(slot.cells.map(({ cell }) => cell));
    const payload = this.#nodes.payload(node);
    for (let cell = this.#nodes.head(node); cell !== noCell;) {
      const following = this.#cells.next(cell);
      if (!this.#cells.isLive(cell)) this.#retention.unkeep();
      if (!before.has(cell)) this.#cells.release(payload, cell);
      cell = following;
    }
    for (const saved of slot.cells) {
      this.#cells.restore(saved);
      if (!this.#cells.isLive(saved.cell)) this.#retention.keep(saved.cell, saved.sequence);
    }
    this.#nodes.setHead(node, slot.head);
    this.#nodes.setTotal(node, slot.total);
    if (isLive(node) !== wasLive) this.#nodes.countLive(node, wasLive ? -1 : 1);
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
