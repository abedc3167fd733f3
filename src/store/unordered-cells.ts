/** Cells that still have to go to their actors' logs, in no order: of a series, or of a store. */
import type { Cells } from "../crdt/cells.ts";
import type { VersionVector } from "../crdt/version-vector.ts";

class CellList {
  #count = 0;
  #cells = new Int32Array(64);

  push(cell: number): void {
    if (this.#count === this.#cells.length) {
      const larger = new Int32Array(this.#count * 2);
      larger.set(this.#cells);
      this.#cells = larger;
    }
    this.#cells[this.#count++] = cell;
  }

  get cells(): Int32Array {
    return this.#cells.subarray(0, this.#count);
  }
}

/** Lists of cells by actor. */
export class UnorderedCells {
  readonly #lists: (CellList | undefined)[] = [];

  push(actor: number, cell: number): void {
    let list = this.#lists[actor];
    if (list === undefined) {
      while (this.#lists.length < actor) this.#lists.push(undefined);
      list = new CellList();
      this.#lists[actor] = list;
    }
    list.push(cell);
  }

  /** Puts them into the logs, as runs up to `to`. */
  moveTo(cells: Cells, to: VersionVector): void {
    for (const [actor, list] of this.#lists.entries()) {
      if (list) cells.log(actor).appendRun(list.cells, to.at(actor));
    }
  }
}
