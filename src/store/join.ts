/**
 * Joins what was read into a keyspace: the rule of `crdt/delta-interval.ts`, over typed arrays.
 *
 * A join is one step from vector to vector, of one frame or of the staged frames of a series. The
 * keyspace's own vector moves only at its end, so every frame is judged by what was known before.
 */
import { noCell } from "../crdt/cells.ts";
import { isSafe } from "../crdt/counter.ts";
import { VersionVector } from "../crdt/version-vector.ts";
import type { Rows } from "./rows.ts";
import { stateBare, stateHeld, stateLive } from "./frame.ts";
import type { Keyspace } from "./keyspace.ts";
import type { NumberSet } from "./numbering.ts";
import { exactTotal } from "./sums.ts";
import { UnorderedCells } from "./unordered-cells.ts";

/** Joins frames into one keyspace, again and again: `begin`, `rows` of each frame, `end`. */
export class Join {
  readonly #keyspace: Keyspace;
  #theirs: VersionVector = new VersionVector();
  /** Slots that something happened to. */
  touched: number[] = [];
  /** Stamped slots that hold concurrent writes, one of them new. */
  concurrent: readonly number[] = none;
  /** Stamps further ahead of our clock than the bound. */
  held = 0;
  /** Frames of a series overlap, so their cells go to the logs at the end, as a run. */
  #unlogged: UnorderedCells | undefined;
  /** What the slot at hand was told of each actor; 0 between slots. */
  #told = new Int32Array(8);

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  /** `theirs` is the sender's vector at each frame; it may move between calls of `rows`. */
  begin(theirs: VersionVector, inOrder: boolean): void {
    this.#theirs = theirs;
    this.touched = [];
    this.concurrent = none;
    this.held = 0;
    this.#unlogged = inOrder ? undefined : new UnorderedCells();
    const actors = this.#keyspace.actors.count;
    if (this.#told.length < actors) this.#told = new Int32Array(actors * 2);
  }

  /** Joins the slots of one frame. */
  rows(rows: Rows, seen?: NumberSet): void {
    const { nodes } = this.#keyspace;
    for (let start = 0; start < rows.count;) {
      const node = rows.nodes[start] as number;
      let end = start + 1;
      while (end < rows.count && rows.nodes[end] === node) end++;
      seen?.add(node);
      if (nodes.isSum(node)) this.#counter(node, rows, start, end);
      else this.#slot(node, rows, start, end);
      start = end;
    }
  }

  /** What the sender has in no frame, though its vector `first` covers it, is gone there. */
  absent(seen: NumberSet, first: VersionVector): void {
    const { nodes } = this.#keyspace;
    for (let node = 0; node < nodes.limit; node++) {
      if (!nodes.isUsed(node) || nodes.isContainer(node) || nodes.isSum(node) || seen.has(node)) {
        continue;
      }
      if (nodes.head(node) !== noCell) this.#settle(node, this.#dropKnown(node, first));
    }
  }

  /** Puts what came out of order into the logs, up to `to`. The vector may move there now. */
  end(to: VersionVector): void {
    this.#unlogged?.moveTo(this.#keyspace.cells, to);
    this.#unlogged = undefined;
  }

  /** What was told is not kept: after a complete state that would be a list of everything. */
  release(): void {
    this.touched = [];
  }

  #counter(node: number, rows: Rows, start: number, end: number): void {
    const { cells, nodes, held } = this.#keyspace;
    const wasLive = nodes.head(node) !== noCell;
    let total = nodes.total(node);
    let isExact = isSafe(total);
    let changed = false;
    for (let row = start; row < end; row++) {
      const actor = rows.actors[row] as number;
      const sequence = rows.sequences[row] as number;
      if (held.at(actor) >= sequence) continue;
      const sum = rows.values[row] as number;
      // Each actor is in a slot once, so a slot that was empty needs no search.
      let cell = wasLive ? cells.find(node, actor) : noCell;
      if (cell === noCell) cell = cells.add(node, actor, true);
      else total -= cells.value(cell);
      isExact &&= isSafe(total) && isSafe(total + sum);
      total += sum;
      cells.setValue(cell, sum);
      this.#log(cell, actor, sequence);
      changed = true;
    }
    if (!changed) return;
    nodes.setTotal(node, isExact ? total : exactTotal(nodes, cells, node));
    if (!wasLive) nodes.countLive(node, 1);
    this.touched.push(node);
  }

  #slot(node: number, rows: Rows, start: number, end: number): void {
    const told = this.#told;
    for (let row = start; row < end; row++) {
      if (rows.states[row] !== stateBare) {
        told[rows.actors[row] as number] = rows.sequences[row] as number;
      }
    }
    let changed = this.#dropKnown(node, this.#theirs, told);
    for (let row = start; row < end; row++) {
      told[rows.actors[row] as number] = 0;
      if (this.#takeRow(node, rows, row)) changed = true;
    }
    this.#settle(node, changed);
  }

  /** Mine stays unless they know it and lack it. */
  #dropKnown(node: number, theirs: VersionVector, told?: Int32Array): boolean {
    const { cells, nodes } = this.#keyspace;
    let changed = false;
    for (let cell = nodes.head(node); cell !== noCell;) {
      const following = cells.next(cell);
      const actor = cells.actor(cell);
      const sequence = cells.sequence(cell);
      if (cells.isLive(cell) && theirs.at(actor) >= sequence && told?.[actor] !== sequence) {
        cells.remove(cell);
        changed = true;
      }
      cell = following;
    }
    return changed;
  }

  /** Theirs comes unless I know it. */
  #takeRow(node: number, rows: Rows, row: number): boolean {
    const { cells, nodes, held, retention, clock } = this.#keyspace;
    const actor = rows.actors[row] as number;
    const sequence = rows.sequences[row] as number;
    const state = rows.states[row] as number;
    if (held.at(actor) >= sequence || state === stateHeld) return false;
    const live = state === stateLive;
    let cell = cells.find(node, actor);
    if (cell === noCell) cell = cells.add(node, actor, live);
    else if (!cells.isLive(cell)) retention.unkeep();
    cells.setLive(cell, live);
    this.#log(cell, actor, sequence);
    if (!live) retention.keep(cell, sequence);
    if (nodes.payload(node) === "stamped") {
      const stamp = rows.values[row] as number;
      cells.setValue(cell, stamp);
      cells.setPayload(cell, live ? rows.payloads[row] : undefined);
      if (live && !clock.receive(stamp)) this.held++;
    }
    return true;
  }

  /** Counts what is live now, and tells the ancestors. */
  #settle(node: number, changed: boolean): void {
    const { cells, nodes } = this.#keyspace;
    if (!changed) return;
    let live = 0;
    for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
      if (cells.isLive(cell)) live++;
    }
    const before = nodes.total(node);
    nodes.setTotal(node, live);
    if (live > 0 !== before > 0) nodes.countLive(node, live > 0 ? 1 : -1);
    if (live > 1 && nodes.payload(node) === "stamped") {
      this.concurrent = [...this.concurrent, node];
    }
    if (nodes.head(node) === noCell) this.#keyspace.names.emptied(node);
    this.touched.push(node);
  }

  #log(cell: number, actor: number, sequence: number): void {
    const { cells } = this.#keyspace;
    if (this.#unlogged === undefined) {
      cells.touch(cell, sequence);
      return;
    }
    cells.setSequence(cell, sequence);
    this.#unlogged.push(actor, cell);
  }
}

const none: readonly number[] = [];
