/**
 * What did this actor touch after its batch n?
 *
 * One log per actor: the cells it touched, batch after batch. Touching a cell again just appends; the
 * older entry is told by the cell itself, whose sequence is that of another batch by then. Such stale
 * entries are at most about as many as the others before they are swept out, so a log is in proportion
 * to the cells that the actor has, and appending is one sequential write.
 *
 * A catch-up brings many batches at once, in no order. They are kept as they came, as one *run*, and
 * put in order only when somebody asks for a part of it: mostly nobody does.
 */
import { ascending } from "./ascending.ts";

/** What a log asks of the cells that it lists. */
export interface LoggedCells {
  /** The batch that `cell` was touched in last, or 0 if it is not this actor's. */
  sequenceOf(cell: number, actor: number): number;
}

/** Stale entries that are always tolerated. */
const slack = 1024;

/** Runs up to so many touches are put in order at once: that costs less than to keep them apart. */
const smallRun = 16_384;

/** Actors that only stand in the vector cost no arrays. */
const nothing = new Int32Array(0);

/** The touches of one actor, oldest first. */
export class ChangeLog {
  readonly #actor: number;
  readonly #of: LoggedCells;
  #cells = nothing;
  #count = 0;
  /** Each batch: its sequence, and where its touches begin. A run counts as its last batch. */
  #sequences = nothing;
  #starts = nothing;
  #batches = 0;
  /** Which of the batches are runs; few, and mostly none. */
  readonly #runs = new Set<number>();
  /** Cells that the actor has: entries that are not stale. */
  alive = 0;

  constructor(actor: number, of: LoggedCells) {
    this.#actor = actor;
    this.#of = of;
  }

  /** Entries, stale ones among them. */
  get count(): number {
    return this.#count;
  }

  /** The cell of an entry. */
  cell(entry: number): number {
    return this.#cells[entry] as number;
  }

  /** Notes a touch in batch `sequence`, which is the last one or a later one. Amortised O(1). */
  append(cell: number, sequence: number): void {
    if (this.#batches === 0 || this.#sequences[this.#batches - 1] !== sequence) {
      this.#startBatch(sequence);
    }
    if (this.#count === this.#cells.length) this.#cells = grown(this.#cells);
    this.#cells[this.#count++] = cell;
  }

  /** Notes touches of any batches after the last one, up to `sequence`. O(touches). */
  appendRun(cells: Int32Array, sequence: number): void {
    if (cells.length === 0) return;
    if (cells.length <= smallRun) {
      this.#appendInOrder(cells, this.#batches === 0 ? 0 : this.#last, sequence);
      return;
    }
    this.#runs.add(this.#batches);
    this.#startBatch(sequence);
    const count = this.#count + cells.length;
    if (count > this.#cells.length) this.#cells = grown(this.#cells, count);
    this.#cells.set(cells, this.#count);
    this.#count = count;
  }

  /** The first entry of a batch after `sequence`, or `count`. O(log batches). */
  firstAfter(sequence: number): number {
    const batch = this.batchAfter(sequence);
    return batch === this.#batches ? this.#count : (this.#starts[batch] as number);
  }

  /**
   * The place of the first batch after `sequence`, or `batches`. O(log batches), but for a run there,
   * which is put in order first.
   */
  batchAfter(sequence: number): number {
    const batch = this.#placeAfter(sequence);
    if (this.#runs.size === 0 || Math.max(...this.#runs) < batch) return batch;
    this.#orderRun(Math.max(...this.#runs));
    return this.batchAfter(sequence);
  }

  /** How many batches there are; places are below. */
  get batches(): number {
    return this.#batches;
  }

  /** The sequence of a batch. */
  sequence(batch: number): number {
    return this.#sequences[batch] as number;
  }

  /** Where a batch begins. */
  start(batch: number): number {
    return this.#starts[batch] as number;
  }

  /** Where a batch ends. */
  end(batch: number): number {
    return batch + 1 < this.#batches ? (this.#starts[batch + 1] as number) : this.#count;
  }

  /** Forgets the batches after `sequence`: they are undone. */
  truncate(sequence: number): void {
    const batch = this.batchAfter(sequence);
    if (batch === this.#batches) return;
    this.#count = this.#starts[batch] as number;
    this.#batches = batch;
  }

  /** Whether it is worth sweeping. */
  get isStale(): boolean {
    return this.#count > 2 * this.alive + slack;
  }

  /** Drops the stale entries, and puts runs in order. O(entries). */
  sweep(): void {
    while (this.#runs.size > 0) this.#orderRun(Math.max(...this.#runs));
    let count = 0;
    let batches = 0;
    for (let batch = 0; batch < this.#batches; batch++) {
      const sequence = this.#sequences[batch] as number;
      const end = this.end(batch);
      const start = count;
      for (let entry = this.#starts[batch] as number; entry < end; entry++) {
        const cell = this.#cells[entry] as number;
        if (this.#of.sequenceOf(cell, this.#actor) === sequence) this.#cells[count++] = cell;
      }
      if (count === start) continue;
      this.#sequences[batches] = sequence;
      this.#starts[batches++] = start;
    }
    this.#count = count;
    this.#batches = batches;
  }

  /** Bytes of the arrays. */
  get bytes(): number {
    return this.#cells.byteLength + 2 * this.#sequences.byteLength;
  }

  #startBatch(sequence: number): void {
    if (this.#batches === this.#sequences.length) {
      this.#sequences = grown(this.#sequences);
      this.#starts = grown(this.#starts);
    }
    this.#sequences[this.#batches] = sequence;
    this.#starts[this.#batches++] = this.#count;
  }

  /** Appends those whose batch is after `before`, up to `to`; what else is there is stale. */
  #appendInOrder(cells: Int32Array, before: number, to: number): void {
    const sequences = cells.map((cell) => this.#of.sequenceOf(cell, this.#actor));
    for (const i of ascending(sequences)) {
      const sequence = sequences[i] as number;
      if (sequence > before && sequence <= to) this.append(cells[i] as number, sequence);
    }
  }

  get #last(): number {
    return this.#sequences[this.#batches - 1] as number;
  }

  /** Makes the batches of a run out of it: the later ones move up. */
  #orderRun(run: number): void {
    this.#runs.delete(run);
    const before = run === 0 ? 0 : (this.#sequences[run - 1] as number);
    const to = this.#sequences[run] as number;
    const end = this.end(run);
    const tail = this.#cells.slice(end, this.#count);
    const tailStart = end;
    const later: { sequence: number; start: number }[] = [];
    for (let batch = run + 1; batch < this.#batches; batch++) {
      later.push({
        sequence: this.#sequences[batch] as number,
        start: (this.#starts[batch] as number) - tailStart,
      });
    }
    const entries = this.#cells.slice(this.#starts[run], end);
    this.#count = this.#starts[run] as number;
    this.#batches = run;
    this.#appendInOrder(entries, before, to);
    for (const { sequence, start } of later) {
      this.#startBatch(sequence);
      this.#starts[this.#batches - 1] = this.#count + start;
    }
    if (this.#count + tail.length > this.#cells.length) {
      this.#cells = grown(this.#cells, this.#count + tail.length);
    }
    this.#cells.set(tail, this.#count);
    this.#count += tail.length;
  }

  #placeAfter(sequence: number): number {
    let low = 0;
    let high = this.#batches;
    // Mostly somebody asks for the last batch.
    if (high > 0 && (this.#sequences[high - 1] as number) <= sequence) return high;
    if (high > 1 && (this.#sequences[high - 2] as number) <= sequence) return high - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sequences[middle] as number) <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function grown(list: Int32Array<ArrayBuffer>, least = 4): Int32Array<ArrayBuffer> {
  const factor = list.length < 65_536 ? 2 : 1.25;
  const next = new Int32Array(Math.max(least, Math.ceil(list.length * factor)));
  next.set(list);
  return next;
}
