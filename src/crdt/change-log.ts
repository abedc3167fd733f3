/**
 * What did this actor touch after its batch n?
 *
 * One log per actor: the cells it touched, batch after batch. Touching a cell again just appends; the
 * older entry is told by the cell itself, whose sequence is that of another batch by then. Such stale
 * entries are at most about as many as the others before they are swept out, so a log is in proportion
 * to the cells that the actor has, and appending is one sequential write.
 */

/** Stale entries that are always tolerated. */
const slack = 1024;

/** Actors that only stand in the vector cost no arrays. */
const nothing = new Int32Array(0);

/** The touches of one actor, oldest first. */
export class ChangeLog {
  #cells = nothing;
  #count = 0;
  /** Each batch: its sequence, and where its touches begin. */
  #sequences = nothing;
  #starts = nothing;
  #batches = 0;
  /** Cells that the actor has: entries that are not stale. */
  alive = 0;

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

  /** The first entry of a batch after `sequence`, or `count`. O(log batches). */
  firstAfter(sequence: number): number {
    const batch = this.#batchAfter(sequence);
    return batch === this.#batches ? this.#count : (this.#starts[batch] as number);
  }

  /** The batches after `sequence`, oldest first. */
  *batchesAfter(sequence: number): Generator<LoggedBatch> {
    for (let batch = this.#batchAfter(sequence); batch < this.#batches; batch++) {
      const start = this.#starts[batch] as number;
      const end = batch + 1 < this.#batches ? (this.#starts[batch + 1] as number) : this.#count;
      yield { sequence: this.#sequences[batch] as number, start, end };
    }
  }

  /** Forgets the batches after `sequence`: they are undone. */
  truncate(sequence: number): void {
    const batch = this.#batchAfter(sequence);
    if (batch === this.#batches) return;
    this.#count = this.#starts[batch] as number;
    this.#batches = batch;
  }

  /** Whether it is worth sweeping. */
  get isStale(): boolean {
    return this.#count > 2 * this.alive + slack;
  }

  /** Drops the entries whose cell is not at their batch any more. O(entries). */
  sweep(isCurrent: (cell: number, sequence: number) => boolean): void {
    let count = 0;
    let batches = 0;
    for (let batch = 0; batch < this.#batches; batch++) {
      const sequence = this.#sequences[batch] as number;
      const end = batch + 1 < this.#batches ? (this.#starts[batch + 1] as number) : this.#count;
      const start = count;
      for (let entry = this.#starts[batch] as number; entry < end; entry++) {
        const cell = this.#cells[entry] as number;
        if (isCurrent(cell, sequence)) this.#cells[count++] = cell;
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

  #batchAfter(sequence: number): number {
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

/** One batch in a log: entries from `start` to before `end`. */
export interface LoggedBatch {
  readonly sequence: number;
  readonly start: number;
  readonly end: number;
}

function grown(list: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> {
  const next = new Int32Array(Math.max(4, Math.ceil(list.length * (list.length < 65_536 ? 2 : 1.25))));
  next.set(list);
  return next;
}
