/**
 * Rows of 24 bytes, in pages: unlike one array they are never copied when there are more of them, and
 * leave little unused. Row 0 is never given out.
 */

const pageBits = 12;
const pageMask = (1 << pageBits) - 1;
/** Integers in a row, and doubles, of which the last is used as one. */
const stride = 6;
const doubles = 3;
const last = 2;

/** Four integers and a double each. */
export class RowPages {
  readonly #doubles: Float64Array[] = [];
  readonly #words: Int32Array[] = [];
  #count = 0;

  /** Bytes of the pages. */
  get bytes(): number {
    return this.#doubles.length * (pageMask + 1) * doubles * Float64Array.BYTES_PER_ELEMENT;
  }

  /** One more row. O(1). */
  add(): number {
    const row = ++this.#count;
    if (row >> pageBits === this.#doubles.length) {
      const page = new Float64Array((pageMask + 1) * doubles);
      this.#doubles.push(page);
      this.#words.push(new Int32Array(page.buffer));
    }
    return row;
  }

  /** Sets all of a row. */
  set(row: number, words: readonly [number, number, number, number], double: number): void {
    const page = this.#words[row >> pageBits] as Int32Array;
    const at = (row & pageMask) * stride;
    page[at] = words[0];
    page[at + 1] = words[1];
    page[at + 2] = words[2];
    page[at + 3] = words[3];
    this.setDouble(row, double);
  }

  word(row: number, field: number): number {
    const words = this.#words[row >> pageBits] as Int32Array;
    return words[(row & pageMask) * stride + field] as number;
  }

  setWord(row: number, field: number, to: number): void {
    const words = this.#words[row >> pageBits] as Int32Array;
    words[(row & pageMask) * stride + field] = to;
  }

  double(row: number): number {
    const page = this.#doubles[row >> pageBits] as Float64Array;
    return page[(row & pageMask) * doubles + last] as number;
  }

  setDouble(row: number, to: number): void {
    const page = this.#doubles[row >> pageBits] as Float64Array;
    page[(row & pageMask) * doubles + last] = to;
  }

  /** A view of the whole row. */
  row(row: number): Float64Array {
    const start = (row & pageMask) * doubles;
    return (this.#doubles[row >> pageBits] as Float64Array).subarray(start, start + doubles);
  }
}
