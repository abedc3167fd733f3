/**
 * Bytes out and in: variable-length integers, strings, doubles, raw runs. The reader trusts nothing:
 * whatever is malformed or too long is a `MalformedError`, before anything is allocated for it.
 */

/** The bytes are not what they claim to be. Caught at the edge and told as `ProtocolError`. */
export class MalformedError extends Error {
  override readonly name = "MalformedError";
}

/** Stops reading: `what` was wrong. */
export function malformed(what: string): never {
  throw new MalformedError(what);
}

const startBytes = 1024;

/** Appends to one growing buffer that is used again and again. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(startBytes);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Forgets what was written; what `take` returned stays. */
  reset(length = 0): void {
    this.#length = length;
  }

  /** A copy of what was written. */
  take(): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#bytes, 0, this.#length);
  }

  /** What was written, only until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.#length++] = value;
  }

  /** A non-negative safe integer in groups of 7 bits, least first. */
  varint(value: number): void {
    if (this.#length + 8 > this.#bytes.length) this.#grow(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  double(value: number): void {
    if (this.#length + 8 > this.#bytes.length) this.#grow(8);
    this.#length = this.#bytes.writeDoubleBE(value, this.#length);
  }

  raw(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#bytes.length) this.#grow(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Length in bytes, then UTF-8. */
  text(text: string): void {
    const length = text.length < 24 ? this.#shortAscii(text) : -1;
    if (length >= 0) return;
    const bytes = Buffer.byteLength(text);
    this.varint(bytes);
    if (this.#length + bytes > this.#bytes.length) this.#grow(bytes);
    this.#length += this.#bytes.write(text, this.#length, bytes);
  }

  /** Short keys are mostly ASCII, and a call into the runtime costs more than the loop. */
  #shortAscii(text: string): number {
    if (this.#length + 25 > this.#bytes.length) this.#grow(25);
    const start = this.#length;
    this.#bytes[start] = text.length;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) return -1;
      this.#bytes[start + 1 + i] = code;
    }
    this.#length = start + 1 + text.length;
    return text.length;
  }

  #grow(by: number): void {
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + by));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads what a `ByteWriter` wrote, or anything that claims to be it. */
export class ByteReader {
  #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.#bytes = bytes;
  }

  /** Starts over with other bytes. */
  open(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  get offset(): number {
    return this.#at;
  }

  byte(): number {
    if (this.#at >= this.#bytes.length) malformed("the bytes end early");
    return this.#bytes[this.#at++] as number;
  }

  /** A non-negative safe integer. */
  varint(): number {
    const first = this.byte();
    return first < 0x80 ? first : this.#longVarint(first);
  }

  #longVarint(first: number): number {
    let value = first & 0x7f;
    let scale = 0x80;
    for (let i = 1; i < 8; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) malformed("an integer is out of range");
        return value;
      }
      scale *= 0x80;
    }
    return malformed("an integer does not end");
  }

  /** A varint that is at most `max`; `what` names it when it is not. */
  bounded(max: number, what: string): number {
    const value = this.varint();
    if (value > max) malformed(`${what} is ${value}, at most ${max} allowed`);
    return value;
  }

  double(): number {
    const { buffer, byteOffset } = this.raw(8);
    return new DataView(buffer, byteOffset, 8).getFloat64(0);
  }

  /** The next `length` bytes, as a view. */
  raw(length: number): Uint8Array {
    if (length > this.left) malformed("the bytes end early");
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }

  /** Copies the next `length` bytes to `target`; returns whether all are ASCII. */
  copy(target: Uint8Array, offset: number, length: number): boolean {
    if (length > this.left) malformed("the bytes end early");
    let all = 0;
    for (let i = 0; i < length; i++) {
      const byte = this.#bytes[this.#at + i] as number;
      target[offset + i] = byte;
      all |= byte;
    }
    this.#at += length;
    return all < 0x80;
  }

  /** A string of at most `bytesMax` bytes of well-formed UTF-8. */
  text(bytesMax: number): string {
    return utf8(this.raw(this.bounded(bytesMax, "the length of a string")));
  }

  /** Refuses trailing bytes. */
  end(): void {
    if (this.left > 0) malformed(`${this.left} bytes too many`);
  }
}

/** Decodes well-formed UTF-8; anything else is refused. */
export function utf8(bytes: Uint8Array): string {
  for (const byte of bytes) {
    if (byte > 0x7f) return strict(bytes);
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function strict(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return malformed("a string is not well-formed UTF-8");
  }
}
