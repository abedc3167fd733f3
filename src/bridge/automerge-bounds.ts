/**
 * How much an update of Automerge's becomes, found out before Automerge sees it. It inflates what is deflated, and
 * makes operations of runs that are written in a few bytes, both without a bound: 70 bytes can take all memory.
 *
 * @see https://automerge.org/automerge-binary-format-spec/
 */
import { inflateRawSync } from "node:zlib";
import { chunksOf } from "./automerge-chunks.ts";

/** Whatever an update weighs, it may be so much when inflated, in bytes. */
const freeBytes = 16 * 1024 * 1024;
/**
 * And so many times its own bytes more. Columns of edits are some three times what they deflate to, and text seldom
 * more than six times, so a document of the greatest weight passes. What is not random at all, such as a picture of
 * one colour, has the free bytes.
 */
const timesMax = 8;
/** Whatever an update weighs, it may have so many rows: a row is an operation, or a change, or what one names. */
const freeRows = 256 * 1024;
/** And so many more for each byte: of text a character is one, and text is deflated to a sixth, or to a tenth. */
const rowsPerByte = 16;
/** Rows of any update. Automerge takes some 3 µs and 300 bytes for each. */
const rowsMax = 4 * 1024 * 1024;
/** What inflating reserves at a time, in bytes. */
const chunkSize = 256 * 1024;

/** Magic bytes, checksum, kind. */
const preambleBytes = 9;
const hashBytes = 32;
const kinds = { document: 0, change: 1, deflatedChange: 2, bundle: 3 } as const;
/** Of the specification of a column. */
const bits = { type: 7, deflated: 8 } as const;
/** Types of columns of another form than runs of numbers. */
const types = { boolean: 4, text: 5, raw: 7 } as const;

/**
 * Whether these, each one or more chunks, together do not become too much; false for what is no chunks.
 * O(bytes when inflated), and no more than they may be.
 */
export function isBounded(parts: readonly Uint8Array[]): boolean {
  const budget = new Budget(parts.reduce((sum, { length }) => sum + length, 0));
  try {
    return parts.every((part) => {
      const chunks = chunksOf(part);
      for (const chunk of chunks ?? []) spendChunk(chunk, budget);
      return chunks !== undefined;
    });
  } catch {
    return false;
  }
}

/** What is left to an update. */
class Budget {
  #bytes: number;
  #rows: number;

  constructor(bytes: number) {
    this.#bytes = freeBytes + timesMax * bytes;
    this.#rows = Math.min(rowsMax, freeRows + rowsPerByte * bytes);
  }

  get rows(): number {
    return this.#rows;
  }

  /** @throws whatever for what is too much, or not deflated. */
  inflate(deflated: Uint8Array): Uint8Array {
    const inflated = inflateRawSync(deflated, { maxOutputLength: this.#bytes, chunkSize });
    // With nothing left, nothing could be asked for.
    this.#bytes = Math.max(1, this.#bytes - inflated.length);
    return inflated;
  }

  /** @throws RangeError for more than are left. */
  spendRows(rows: number): void {
    this.#rows -= rows;
    if (this.#rows < 0) throw new RangeError("too many rows");
  }
}

interface Column {
  readonly specification: number;
  readonly bytes: number;
}

/** @throws whatever for what is too much, or no chunk. */
function spendChunk(chunk: Uint8Array, budget: Budget): void {
  const kind = chunk[preambleBytes - 1];
  const body = new Reader(chunk, preambleBytes);
  // Its length is known to be right.
  body.number();
  switch (kind) {
    case kinds.change:
      return spendChange(body, budget);
    case kinds.deflatedChange:
      return spendChange(new Reader(budget.inflate(body.rest()), 0), budget);
    case kinds.document: {
      skipActors(body);
      body.skip(hashBytes * body.number());
      const [changes, operations] = [columnsIn(body), columnsIn(body)];
      spendColumns(changes, body, budget);
      return spendColumns(operations, body, budget);
    }
    default:
      body.skip(hashBytes * body.number());
      skipActors(body);
      spendColumns(columnsIn(body), body, budget);
      return spendColumns(columnsIn(body), body, budget);
  }
}

function spendChange(body: Reader, budget: Budget): void {
  body.skip(hashBytes * body.number());
  body.skip(body.number());
  // Its number, that of its first operation, and its time.
  for (let left = 3; left > 0; left--) body.number();
  // What it says of itself.
  body.skip(body.number());
  skipActors(body);
  spendColumns(columnsIn(body), body, budget);
}

function skipActors(body: Reader): void {
  for (let left = body.number(); left > 0; left--) body.skip(body.number());
}

function columnsIn(body: Reader): Column[] {
  const columns: Column[] = [];
  for (let left = body.number(); left > 0; left--) {
    columns.push({ specification: body.number(), bytes: body.number() });
  }
  return columns;
}

/** As many rows as the longest of the columns has. */
function spendColumns(columns: readonly Column[], body: Reader, budget: Budget): void {
  let rows = 0;
  for (const { specification, bytes } of columns) {
    const data = body.take(bytes);
    const isDeflated = (specification & bits.deflated) !== 0;
    const inflated = isDeflated ? budget.inflate(data) : data;
    rows = Math.max(rows, rowsIn(inflated, specification & bits.type, budget.rows));
  }
  budget.spendRows(rows);
}

/** How many rows a column has. @throws RangeError for more than `max`. */
function rowsIn(data: Uint8Array, type: number, max: number): number {
  if (type === types.raw) return 0;
  const reader = new Reader(data, 0);
  let rows = 0;
  while (!reader.isDone) {
    rows += type === types.boolean ? reader.number() : runIn(reader, type === types.text);
    if (rows > max) throw new RangeError("too many rows");
  }
  return rows;
}

/** One value so many times, or so many values, or none so many times. */
function runIn(reader: Reader, isText: boolean): number {
  const length = reader.signed();
  if (length === 0) return reader.number();
  for (let values = length > 0 ? 1 : -length; values > 0; values--) {
    if (isText) reader.skip(reader.number());
    else reader.skipNumber();
  }
  return Math.abs(length);
}

/** Reads numbers of seven bits a byte, the lowest first. @throws RangeError where the bytes end too soon. */
class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get isDone(): boolean {
    return this.#at >= this.#bytes.length;
  }

  rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  take(bytes: number): Uint8Array {
    const from = this.#at;
    this.skip(bytes);
    return this.#bytes.subarray(from, this.#at);
  }

  skip(bytes: number): void {
    this.#at += bytes;
    if (this.#at > this.#bytes.length) throw new RangeError("the bytes end too soon");
  }

  number(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
      if (scale > 2 ** 63) throw new RangeError("too great a number");
    }
  }

  /** In two's complement. */
  signed(): number {
    const from = this.#at;
    const value = this.number();
    const last = this.#bytes[this.#at - 1] ?? 0;
    return (last & 0x40) === 0 ? value : value - 128 ** (this.#at - from);
  }

  skipNumber(): void {
    while (this.#byte() >= 0x80);
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new RangeError("the bytes end too soon");
    return byte;
  }
}
