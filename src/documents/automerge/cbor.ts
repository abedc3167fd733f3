/**
 * The part of CBOR that clients of automerge-repo speak: maps with names, lists, text, bytes, numbers.
 *
 * Why not the library that they use? It knows tags that make other things of what they hold (references, records,
 * classes), and one cannot tell it to leave a stranger's alone. Here every tag is refused, and nothing is made that
 * is larger than the bytes it came in.
 *
 * @see RFC 8949.
 */
import { malformed, utf8 } from "../../store/bytes.ts";

/** What is read. A map has its names as they came, the last of two that are the same. */
export type CborValue =
  | string
  | number
  | boolean
  | null
  | undefined
  | Uint8Array
  | readonly CborValue[]
  | ReadonlyMap<string, CborValue>;

/** What is written. */
export interface CborFields {
  readonly [name: string]: CborOut;
}
type CborOut = string | number | Uint8Array | CborFields;

/** Maps and lists within one another. */
const depthMax = 16;
/** Values of one message. */
const valuesMax = 65_536;

const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6 } as const;

/** Reads one value, which is all of the bytes. @throws MalformedError */
export function readCbor(bytes: Uint8Array): CborValue {
  const reader = new CborReader(bytes);
  const value = reader.value(0);
  if (!reader.isDone) malformed("bytes after the value");
  return value;
}

class CborReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #values = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isDone(): boolean {
    return this.#at === this.#bytes.length;
  }

  value(depth: number): CborValue {
    if (++this.#values > valuesMax) malformed("too many values");
    const head = this.#view.getUint8(this.#move(1));
    const [kind, short] = [head >> 5, head & 31];
    if (kind > major.tag) return this.#simple(short);
    const argument = this.#argument(short);
    switch (kind) {
      case major.unsigned:
        return argument;
      case major.negative:
        return -1 - argument;
      case major.bytes:
        return this.#take(argument);
      case major.text:
        return utf8(this.#take(argument));
      case major.list:
        return this.#list(argument, this.#deeper(depth));
      case major.map:
        return this.#map(argument, this.#deeper(depth));
      default:
        return malformed("a tag");
    }
  }

  #list(count: number, depth: number): CborValue[] {
    const list: CborValue[] = [];
    // A count is only believed as far as there are values.
    for (let i = 0; i < count; i++) list.push(this.value(depth));
    return list;
  }

  #map(count: number, depth: number): Map<string, CborValue> {
    const map = new Map<string, CborValue>();
    for (let i = 0; i < count; i++) {
      const name = this.value(depth);
      if (typeof name !== "string") malformed("a name that is no text");
      map.set(name, this.value(depth));
    }
    return map;
  }

  #deeper(depth: number): number {
    return depth < depthMax ? depth + 1 : malformed("values too deep in one another");
  }

  #argument(short: number): number {
    if (short < 24) return short;
    if (short === 24) return this.#view.getUint8(this.#move(1));
    if (short === 25) return this.#view.getUint16(this.#move(2));
    if (short === 26) return this.#view.getUint32(this.#move(4));
    if (short === 27) return Number(this.#view.getBigUint64(this.#move(8)));
    return malformed("a length that is not told");
  }

  #simple(short: number): CborValue {
    switch (short) {
      case 20:
        return false;
      case 21:
        return true;
      case 22:
        return null;
      case 23:
        return undefined;
      case 26:
        return this.#view.getFloat32(this.#move(4));
      case 27:
        return this.#view.getFloat64(this.#move(8));
      default:
        return malformed("a value that is none");
    }
  }

  #take(count: number): Uint8Array {
    const from = this.#move(count);
    return this.#bytes.subarray(from, from + count);
  }

  /** Where the next so many bytes begin. */
  #move(count: number): number {
    if (count > this.#bytes.length - this.#at) malformed("fewer bytes than it says");
    const from = this.#at;
    this.#at += count;
    return from;
  }
}

/** A map of these fields, as bytes. */
export function writeCbor(fields: CborFields): Uint8Array {
  const parts: Uint8Array[] = [];
  write(parts, fields);
  return Buffer.concat(parts);
}

function write(parts: Uint8Array[], value: CborOut): void {
  if (typeof value === "number") parts.push(numberOf(value));
  else if (typeof value === "string") {
    const text = Buffer.from(value, "utf8");
    parts.push(headOf(major.text, text.length), text);
  } else if (value instanceof Uint8Array) parts.push(headOf(major.bytes, value.length), value);
  else {
    const fields = Object.entries(value);
    parts.push(headOf(major.map, fields.length));
    for (const [name, field] of fields) {
      write(parts, name);
      write(parts, field);
    }
  }
}

function numberOf(value: number): Uint8Array {
  if (Number.isInteger(value) && value >= 0 && value < 2 ** 32)
    return headOf(major.unsigned, value);
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(0xfb);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

/** `argument` is below 2^32. */
function headOf(kind: number, argument: number): Uint8Array {
  const first = kind << 5;
  if (argument < 24) return Uint8Array.of(first | argument);
  if (argument < 2 ** 8) return Uint8Array.of(first | 24, argument);
  const bytes = Buffer.alloc(argument < 2 ** 16 ? 3 : 5);
  bytes.writeUInt8(first | (argument < 2 ** 16 ? 25 : 26));
  bytes.writeUIntBE(argument, 1, bytes.length - 1);
  return bytes;
}
