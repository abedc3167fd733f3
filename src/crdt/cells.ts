/**
 * All cells of a replica, in typed arrays: the hot path allocates nothing.
 *
 * A *slot* is a row of 32 bytes: its first cell, its parent and its total. Most slots have one cell,
 * and all that a write to it needs is then in one cache line, which at a hundred thousand keys is what
 * an operation costs. Further cells of a slot, of other actors, are rows of 24 bytes in a chain.
 *
 * A cell is named by one integer: the first cell of a slot by the slot's number, a further one by a
 * number below zero. It says its actor and whether it is live, the sequence of its latest touch, and a
 * double: a counter's running total, or a stamp. What a register was set to stands in pages beside
 * the rows, which exist only where such slots do: a million counters pay nothing for them.
 *
 * Each actor's touches are also in a log (`change-log.ts`), which finds what changed after a vector.
 */
import { ChangeLog, type LoggedCells } from "./change-log.ts";
import { PayloadPages } from "./payload-pages.ts";
import { RowPages } from "./row-pages.ts";

/** Integers in a slot; it has a parent where a further cell has its slot. */
const slotStride = 8;
const next = 0;
const actorAndLive = 1;
const sequence = 2;
const parentOrSlot = 3;
/** Doubles in a slot. Only slots have a total. */
const slotDoubles = 4;
const value = 2;
const total = 3;

/** Instead of an actor: the slot has no first cell. It is nobody's, and not bare. */
const vacant = -1;

/** No cell: an empty slot, the end of a chain. There is no slot of that number. */
export const noCell = 0;

/** No two integers up to here have a sum that is not safe. */
const far = 2 ** 52 - 1;

/** What became of a quick write: done, as the cell's first in its batch or not, or left to the caller. */
export type QuickWrite = "again" | "first" | "refused";

/** A cell as it was; of a slot's first cell the row is the slot's. */
export interface SavedCell {
  readonly cell: number;
  readonly actor: number;
  readonly row: Float64Array;
  readonly payload: unknown;
}

/** A slot with all its cells, to be put back exactly as it was. */
export interface SavedSlot {
  readonly slot: number;
  readonly row: Float64Array;
  readonly cells: readonly SavedCell[];
}

/** The cells of one replica. Slots and actors are numbers that the caller gives, slots from 1 on. */
export class Cells implements LoggedCells {
  #slots = new Float64Array(1024 * slotDoubles);
  #slotWords = new Int32Array(this.#slots.buffer);
  readonly #further = new RowPages();
  /** Further cells that are free again: the first, and each names the next. */
  #free = noCell;
  readonly #slotPayloads = new PayloadPages();
  readonly #furtherPayloads = new PayloadPages();
  readonly #logs: ChangeLog[] = [];
  #count = 0;

  /** Cells in use. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of the arrays, in use or not. */
  get bytes(): number {
    const rows = this.#slots.byteLength + this.#further.bytes;
    return this.#logs.reduce((bytes, log) => bytes + log.bytes, rows);
  }

  // Slots.

  /** A slot without cells, in place of whatever had that number. Amortised O(1). */
  openSlot(slot: number, parent: number): void {
    while ((slot + 1) * slotDoubles > this.#slots.length) this.#growSlots();
    const row = slot * slotStride;
    this.#slotWords[row + next] = noCell;
    this.#slotWords[row + actorAndLive] = vacant;
    this.#slotWords[row + sequence] = 0;
    this.#slotWords[row + parentOrSlot] = parent;
    this.#slots[slot * slotDoubles + total] = 0;
  }

  /** What the slot was opened under. */
  parent(of: number): number {
    return this.#slotWords[of * slotStride + parentOrSlot] as number;
  }

  /** What the caller counts there. */
  total(of: number): number {
    return this.#slots[of * slotDoubles + total] as number;
  }

  setTotal(of: number, to: number): void {
    this.#slots[of * slotDoubles + total] = to;
  }

  /** The first cell of a slot; `noCell` if it has none. */
  head(of: number): number {
    const row = of * slotStride;
    const isVacant = this.#slotWords[row + actorAndLive] === vacant;
    return isVacant ? (this.#slotWords[row + next] as number) : of;
  }

  /** The next cell of the slot, or `noCell`. */
  next(cell: number): number {
    return cell > 0
      ? (this.#slotWords[cell * slotStride + next] as number)
      : this.#further.word(-cell, next);
  }

  /** The cell of `actor` in a slot, or `noCell`. O(cells). */
  find(of: number, actor: number): number {
    const row = of * slotStride;
    if ((this.#slotWords[row + actorAndLive] as number) >> 1 === actor) return of;
    let cell = this.#slotWords[row + next] as number;
    while (cell !== noCell && this.actor(cell) !== actor) cell = this.next(cell);
    return cell;
  }

  /** All cells of a slot, for what is no hot path. O(cells). */
  cellsOf(of: number): number[] {
    const cells: number[] = [];
    for (let cell = this.head(of); cell !== noCell; cell = this.next(cell)) cells.push(cell);
    return cells;
  }

  /** The slot that the cell hangs in. */
  slot(cell: number): number {
    if (cell > 0) return cell;
    return this.#further.word(-cell, parentOrSlot);
  }

  /** A new cell in a slot, in no log yet, with no value. Amortised O(1). */
  add(to: number, actor: number, live: boolean): number {
    this.#count++;
    const row = to * slotStride;
    const flagged = (actor << 1) | (live ? 1 : 0);
    if (this.#slotWords[row + actorAndLive] === vacant) {
      this.#slotWords[row + actorAndLive] = flagged;
      this.#slotWords[row + sequence] = 0;
      this.#slots[to * slotDoubles + value] = 0;
      return to;
    }
    const cell = this.#allocate();
    this.#further.set(-cell, [this.#slotWords[row + next] as number, flagged, 0, to], 0);
    this.#slotWords[row + next] = cell;
    return cell;
  }

  /** Takes a cell out of its slot and out of use. Its entry in the log is stale from now on. O(cells). */
  remove(cell: number): void {
    const actor = this.actor(cell);
    this.detach(cell);
    this.discard(cell, actor);
  }

  /** The first half of `remove`: the cell is in no slot any more, but not free to be used again. */
  detach(cell: number): void {
    this.#count--;
    this.setPayload(cell, undefined);
    if (cell > 0) {
      this.#slotWords[cell * slotStride + actorAndLive] = vacant;
      this.#slotWords[cell * slotStride + sequence] = 0;
    } else {
      this.#unchain(cell);
    }
  }

  /** The second half; `actor` is the one that the cell was of. */
  discard(cell: number, actor: number): void {
    this.log(actor).alive--;
    if (cell > 0) return;
    this.#further.setWord(-cell, next, this.#free);
    this.#further.setWord(-cell, sequence, 0);
    this.#free = cell;
  }

  /** Makes a further cell the first of them, where it is found soonest. O(cells). */
  advance(cell: number): void {
    if (cell > 0) return;
    const row = this.slot(cell) * slotStride;
    if (this.#slotWords[row + next] === cell) return;
    this.#unchain(cell);
    this.#further.setWord(-cell, next, this.#slotWords[row + next] as number);
    this.#slotWords[row + next] = cell;
  }

  // Cells.

  actor(cell: number): number {
    return this.#flagged(cell) >> 1;
  }

  isLive(cell: number): boolean {
    return (this.#flagged(cell) & 1) === 1;
  }

  setLive(cell: number, live: boolean): void {
    const flagged = (this.#flagged(cell) & ~1) | (live ? 1 : 0);
    if (cell > 0) this.#slotWords[cell * slotStride + actorAndLive] = flagged;
    else this.#further.setWord(-cell, actorAndLive, flagged);
  }

  sequence(cell: number): number {
    return cell > 0
      ? (this.#slotWords[cell * slotStride + sequence] as number)
      : this.#further.word(-cell, sequence);
  }

  /** Whether the cell is in use, bare, and its latest touch the one at `at`. */
  isBareAt(cell: number, at: number): boolean {
    return this.sequence(cell) === at && (this.#flagged(cell) & 1) === 0;
  }

  /** Whether the cell is `actor`'s, and its latest touch the one at `at`. */
  isAt(cell: number, actor: number, at: number): boolean {
    return this.sequenceOf(cell, actor) === at;
  }

  /** The cell's latest touch if it is `actor`'s, else 0. */
  sequenceOf(cell: number, actor: number): number {
    return this.#flagged(cell) >> 1 === actor ? this.sequence(cell) : 0;
  }

  /** The running total of a sum, the stamp of a stamped cell. */
  value(cell: number): number {
    return cell > 0
      ? (this.#slots[cell * slotDoubles + value] as number)
      : this.#further.double(-cell);
  }

  setValue(cell: number, to: number): void {
    if (cell > 0) this.#slots[cell * slotDoubles + value] = to;
    else this.#further.setDouble(-cell, to);
  }

  /** What a stamped cell was set to. */
  payload(cell: number): unknown {
    return cell > 0 ? this.#slotPayloads.at(cell) : this.#furtherPayloads.at(-cell);
  }

  setPayload(cell: number, payload: unknown): void {
    if (cell > 0) this.#slotPayloads.set(cell, payload);
    else this.#furtherPayloads.set(-cell, payload);
  }

  // Writes to a slot with one cell, in one row.

  /**
   * Adds to a counter whose first cell is a live one of `actor`, in batch `at`; the caller logs a first
   * touch. Refused when it is not, or when a sum comes near the end of the safe integers.
   */
  addTo(slot: number, actor: number, at: number, by: number): QuickWrite {
    const words = this.#slotWords;
    const word = slot * slotStride;
    if (words[word + actorAndLive] !== ((actor << 1) | 1)) return "refused";
    const doubles = this.#slots;
    const double = slot * slotDoubles;
    const sum = (doubles[double + value] as number) + by;
    const all = (doubles[double + total] as number) + by;
    if (Math.abs(by) > far || Math.abs(sum) > far || Math.abs(all) > far) return "refused";
    doubles[double + value] = sum;
    doubles[double + total] = all;
    if (words[word + sequence] === at) return "again";
    words[word + sequence] = at;
    return "first";
  }

  /**
   * Gives the cell of a slot a stamp if it is its only one, live and of `actor`, in batch `at`; the
   * caller logs a first touch. Refused when it is not.
   */
  restamp(slot: number, actor: number, at: number, stamp: number): QuickWrite {
    if (!this.isOnlyLiveOf(slot, actor)) return "refused";
    const word = slot * slotStride + sequence;
    this.#slots[slot * slotDoubles + value] = stamp;
    if (this.#slotWords[word] === at) return "again";
    this.#slotWords[word] = at;
    return "first";
  }

  /** Whether the slot has one cell, a live one of `actor`. */
  isOnlyLiveOf(slot: number, actor: number): boolean {
    const row = slot * slotStride;
    return (
      this.#slotWords[row + actorAndLive] === ((actor << 1) | 1) &&
      this.#slotWords[row + next] === noCell
    );
  }

  // The actor's log.

  /** The touches of an actor. */
  log(actor: number): ChangeLog {
    let log = this.#logs[actor];
    if (log !== undefined) return log;
    while (this.#logs.length <= actor) this.#logs.push(new ChangeLog(this.#logs.length, this));
    log = this.#logs[actor];
    if (log === undefined) throw new Error("assertion: a log was just made");
    return log;
  }

  /** Makes the cell its actor's newest touch, in batch `at`. Amortised O(1). */
  touch(cell: number, at: number): void {
    this.setSequence(cell, at);
    this.log(this.actor(cell)).append(cell, at);
  }

  /** Names the cell's batch; it comes into the log with a run. */
  setSequence(cell: number, to: number): void {
    if (this.sequence(cell) === 0) this.log(this.actor(cell)).alive++;
    if (cell > 0) this.#slotWords[cell * slotStride + sequence] = to;
    else this.#further.setWord(-cell, sequence, to);
  }

  /** Makes the cell one of `actor`, touched in batch `at`. In the log of its former actor it is stale. */
  give(cell: number, actor: number, at: number): void {
    const isLive = this.isLive(cell);
    this.log(this.actor(cell)).alive--;
    const flagged = (actor << 1) | (isLive ? 1 : 0);
    if (cell > 0) this.#slotWords[cell * slotStride + actorAndLive] = flagged;
    else this.#further.setWord(-cell, actorAndLive, flagged);
    this.setSequence(cell, 0);
    this.touch(cell, at);
  }

  /** Sweeps an actor's log if it has become stale. O(entries) then. */
  tidy(actor: number): void {
    const log = this.#logs[actor];
    if (log?.isStale === true) log.sweep();
  }

  // Undoing.

  /** Everything about a slot. O(cells). */
  save(slot: number): SavedSlot {
    const row = this.#slots.slice(slot * slotDoubles, (slot + 1) * slotDoubles);
    const cells = this.cellsOf(slot).map((cell): SavedCell => {
      const own = cell > 0 ? row : this.#further.row(-cell).slice();
      return { cell, actor: this.actor(cell), row: own, payload: this.payload(cell) };
    });
    return { slot, row, cells };
  }

  /**
   * Puts a saved slot back, after all that hangs in it was removed. Cells that it had must have been
   * detached, not discarded, and their entries still be in the logs.
   */
  restore({ slot, row, cells }: SavedSlot): void {
    this.#slots.set(row, slot * slotDoubles);
    for (const { cell, row: own, payload } of cells) {
      if (cell < 0) this.#further.row(-cell).set(own);
      this.setPayload(cell, payload);
      this.#count++;
    }
  }

  #flagged(cell: number): number {
    return cell > 0
      ? (this.#slotWords[cell * slotStride + actorAndLive] as number)
      : this.#further.word(-cell, actorAndLive);
  }

  /** Takes a further cell out of its slot's chain. O(chain). */
  #unchain(cell: number): void {
    const after = this.next(cell);
    const slot = this.slot(cell);
    let before = this.#slotWords[slot * slotStride + next] as number;
    if (before === cell) {
      this.#slotWords[slot * slotStride + next] = after;
      return;
    }
    while (this.next(before) !== cell) before = this.next(before);
    this.#further.setWord(-before, next, after);
  }

  #allocate(): number {
    if (this.#free === noCell) return -this.#further.add();
    const cell = this.#free;
    this.#free = this.next(cell);
    return cell;
  }

  #growSlots(): void {
    const count = this.#slots.length / slotDoubles;
    // Smaller steps for large states: what is not used yet costs memory.
    const factor = count < 500_000 ? 2 : count < 4_000_000 ? 1.25 : 1.125;
    const larger = new Float64Array(Math.ceil(count * factor) * slotDoubles);
    larger.set(this.#slots);
    this.#slots = larger;
    this.#slotWords = new Int32Array(larger.buffer);
  }
}
