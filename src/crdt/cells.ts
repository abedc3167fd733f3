/**
 * All cells of a replica, in typed arrays: the hot path allocates nothing.
 *
 * A cell is one row of 24 bytes: the next cell of its slot, its actor and whether it is live, the
 * sequence of its latest touch, its slot, and a double (a counter's running total, or a stamp). All
 * of a row is in one cache line; at a hundred thousand keys that is what an operation costs.
 *
 * Each actor's touches are also in a log (`change-log.ts`), which finds what changed after a vector.
 *
 * Values of stamped cells stand in pages beside the rows, which exist only where such cells do: cells
 * are handed out from blocks of one payload each, so a million counters pay nothing for registers.
 */
import { ChangeLog, type LoggedCells } from "./change-log.ts";
import type { Payload } from "./data-type.ts";

/** Integers in a row. */
const stride = 6;
/** Doubles in a row, of which the last is the cell's own. */
const doubles = 3;
const next = 0;
const actorAndLive = 1;
const sequence = 2;
const slot = 3;
const value = 2;

const blockBits = 8;
const blockSize = 1 << blockBits;

/** No cell: an empty slot, the end of a chain. Cell 0 is never handed out. */
export const noCell = 0;

/** What a snapshot keeps of one cell, to put it back exactly as it was. */
export interface SavedCell {
  readonly cell: number;
  readonly sequence: number;
  readonly row: Float64Array;
  readonly payload: unknown;
}

/** The cells of one replica. Slots and actors are numbers that the caller gives. */
export class Cells implements LoggedCells {
  #doubles = new Float64Array(4 * blockSize * doubles);
  #words = new Int32Array(this.#doubles.buffer);
  readonly #payloads: unknown[][] = [];
  #blocks = 0;
  readonly #free: Record<Payload, number> = { sum: noCell, mark: noCell, stamped: noCell };
  readonly #logs: ChangeLog[] = [];
  #count = 0;

  /** Cells in use. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of the arrays, in use or not. */
  get bytes(): number {
    return this.#logs.reduce((bytes, log) => bytes + log.bytes, this.#doubles.byteLength);
  }

  /** A new cell, in no chain and no log yet, with no value. Amortised O(1). */
  allocate(payload: Payload, actor: number, live: boolean): number {
    if (this.#free[payload] === noCell) this.#addBlock(payload);
    const cell = this.#free[payload];
    const at = cell * stride;
    this.#free[payload] = this.#words[at + next] as number;
    this.#words[at + next] = noCell;
    this.#words[at + actorAndLive] = (actor << 1) | (live ? 1 : 0);
    this.#words[at + sequence] = 0;
    this.#doubles[cell * doubles + value] = 0;
    this.#count++;
    return cell;
  }

  /** Takes back a cell that hangs in no chain. Its entry in the log is stale from now on. */
  release(payload: Payload, cell: number): void {
    const at = cell * stride;
    if (payload === "stamped") this.setPayload(cell, undefined);
    if (this.#words[at + sequence] !== 0) this.log(this.actor(cell)).alive--;
    this.#words[at + next] = this.#free[payload];
    this.#words[at + sequence] = 0;
    this.#free[payload] = cell;
    this.#count--;
  }

  /** The touches of an actor. */
  log(actor: number): ChangeLog {
    let log = this.#logs[actor];
    if (log !== undefined) return log;
    while (this.#logs.length <= actor) this.#logs.push(new ChangeLog(this.#logs.length, this));
    log = this.#logs[actor];
    if (log === undefined) throw new Error("assertion: a log was just made");
    return log;
  }

  actor(cell: number): number {
    return (this.#words[cell * stride + actorAndLive] as number) >> 1;
  }

  isLive(cell: number): boolean {
    return ((this.#words[cell * stride + actorAndLive] as number) & 1) === 1;
  }

  setLive(cell: number, live: boolean): void {
    const at = cell * stride + actorAndLive;
    this.#words[at] = ((this.#words[at] as number) & ~1) | (live ? 1 : 0);
  }

  /** Whether the cell is a live one of `actor`. */
  isLiveOf(cell: number, actor: number): boolean {
    return this.#words[cell * stride + actorAndLive] === ((actor << 1) | 1);
  }

  /** Whether the cell is in use, bare, and its latest touch the one at `at`. */
  isBareAt(cell: number, at: number): boolean {
    const row = cell * stride;
    return (
      this.#words[row + sequence] === at && ((this.#words[row + actorAndLive] as number) & 1) === 0
    );
  }

  /** Whether the cell is `actor`'s, and its latest touch the one at `at`. */
  isAt(cell: number, actor: number, at: number): boolean {
    const row = cell * stride;
    return (
      this.#words[row + sequence] === at &&
      (this.#words[row + actorAndLive] as number) >> 1 === actor
    );
  }

  /** The cell's latest touch if it is `actor`'s, else 0. */
  sequenceOf(cell: number, actor: number): number {
    const row = cell * stride;
    if ((this.#words[row + actorAndLive] as number) >> 1 !== actor) return 0;
    return this.#words[row + sequence] as number;
  }

  sequence(cell: number): number {
    return this.#words[cell * stride + sequence] as number;
  }

  /** The running total of a sum, the stamp of a stamped cell. */
  value(cell: number): number {
    return this.#doubles[cell * doubles + value] as number;
  }

  setValue(cell: number, to: number): void {
    this.#doubles[cell * doubles + value] = to;
  }

  /**
   * Adds to a sum if the cell is a live one of `actor`, touched at `at` already, and the result is a
   * safe integer: the hot path of counters, in one row.
   */
  addTo(cell: number, actor: number, at: number, by: number): boolean {
    const row = cell * stride;
    if (this.#words[row + sequence] !== at) return false;
    if (this.#words[row + actorAndLive] !== ((actor << 1) | 1)) return false;
    const sum = (this.#doubles[cell * doubles + value] as number) + by;
    if (sum > Number.MAX_SAFE_INTEGER || sum < Number.MIN_SAFE_INTEGER) return false;
    this.#doubles[cell * doubles + value] = sum;
    return true;
  }

  /** What a stamped cell was set to. */
  payload(cell: number): unknown {
    return this.#payloads[cell >> blockBits]?.[cell & (blockSize - 1)];
  }

  setPayload(cell: number, payload: unknown): void {
    const page = (this.#payloads[cell >> blockBits] ??= []);
    page[cell & (blockSize - 1)] = payload;
  }

  // The slot's chain.

  /** The next cell of the slot, or `noCell`. */
  next(cell: number): number {
    return this.#words[cell * stride + next] as number;
  }

  /** Puts the cell before `head` in its slot's chain; it is the new head. */
  prepend(cell: number, head: number, of: number): void {
    this.#words[cell * stride + next] = head;
    this.#words[cell * stride + slot] = of;
  }

  /** Takes the cell out of the chain that starts at `head`; returns the new head. O(chain). */
  unchain(cell: number, head: number): number {
    const after = this.next(cell);
    if (cell === head) return after;
    let before = head;
    while (this.next(before) !== cell) before = this.next(before);
    this.#words[before * stride + next] = after;
    return head;
  }

  /** The cell of `actor` in the chain that starts at `head`, or `noCell`. O(chain). */
  find(head: number, actor: number): number {
    for (let cell = head; cell !== noCell; cell = this.next(cell)) {
      if (this.actor(cell) === actor) return cell;
    }
    return noCell;
  }

  /** The slot that the cell hangs in. */
  slot(cell: number): number {
    return this.#words[cell * stride + slot] as number;
  }

  // The actor's log.

  /** Makes the cell its actor's newest touch, in batch `at`. Amortised O(1). */
  touch(cell: number, at: number): void {
    const row = cell * stride;
    const log = this.log((this.#words[row + actorAndLive] as number) >> 1);
    if (this.#words[row + sequence] === 0) log.alive++;
    this.#words[row + sequence] = at;
    log.append(cell, at);
  }

  /** Names the cell's batch; it comes into the log with a run. */
  setSequence(cell: number, to: number): void {
    const row = cell * stride;
    if (this.#words[row + sequence] === 0) this.log(this.actor(cell)).alive++;
    this.#words[row + sequence] = to;
  }

  /** Sweeps an actor's log if it has become stale. O(entries) then. */
  tidy(actor: number): void {
    const log = this.#logs[actor];
    if (log?.isStale === true) log.sweep();
  }

  // Undoing.

  /** Everything about the cell. */
  save(cell: number): SavedCell {
    const row = this.#doubles.slice(cell * doubles, (cell + 1) * doubles);
    return { cell, sequence: this.sequence(cell), row, payload: this.payload(cell) };
  }

  /** Puts a saved cell back. Its entry in the log was never taken away. */
  restore(saved: SavedCell): void {
    this.#doubles.set(saved.row, saved.cell * doubles);
    if (saved.payload !== this.payload(saved.cell)) this.setPayload(saved.cell, saved.payload);
  }

  #addBlock(payload: Payload): void {
    const first = this.#blocks * blockSize;
    const end = first + blockSize;
    if (end * stride > this.#words.length) this.#grow();
    // Cell 0 is nobody's, so the first block starts one later.
    for (let cell = Math.max(first, 1); cell < end; cell++) {
      this.#words[cell * stride + next] = cell + 1 < end ? cell + 1 : noCell;
    }
    this.#free[payload] = Math.max(first, 1);
    this.#blocks++;
  }

  #grow(): void {
    const cells = this.#doubles.length / doubles;
    // Smaller steps for large states: what is not used yet costs memory.
    const factor = cells < 1_000_000 ? 2 : cells < 4_000_000 ? 1.25 : 1.125;
    const grown = new Float64Array(Math.ceil((cells * factor) / blockSize) * blockSize * doubles);
    grown.set(this.#doubles);
    this.#doubles = grown;
    this.#words = new Int32Array(grown.buffer);
  }
}
