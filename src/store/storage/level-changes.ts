/** The changes of one batch, copied as they come, with a checksum over each key and value. */
import { UsageError } from "../../errors.ts";
import { checksum } from "./level-checksum.ts";

const checksumBytes = 4;

/** Changes in the order in which they were made. */
export class LevelChanges {
  #bytes = new Uint8Array(1024);
  #end = 0;
  /** For each change where its key ends and where its value does; -1 for a deletion. */
  readonly #ends: number[] = [];
  /** How many of the changes are deletions. */
  deletions = 0;

  /** How many changes there are. */
  get count(): number {
    return this.#ends.length / 2;
  }

  /** Bytes of all keys and values. */
  get bytes(): number {
    return this.#end;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    assertKey(key);
    this.#reserve(key.length + checksumBytes + value.length);
    const keyEnd = this.#append(key);
    const valueAt = keyEnd + checksumBytes;
    this.#end = valueAt;
    const end = this.#append(value);
    const crc = checksum(this.#bytes, valueAt, end, checksum(key, 0, key.length));
    this.#bytes[keyEnd] = crc;
    this.#bytes[keyEnd + 1] = crc >>> 8;
    this.#bytes[keyEnd + 2] = crc >>> 16;
    this.#bytes[keyEnd + 3] = crc >>> 24;
    this.#ends.push(keyEnd, end);
  }

  delete(key: Uint8Array): void {
    assertKey(key);
    this.#reserve(key.length);
    this.#ends.push(this.#append(key), -1);
    this.deletions++;
  }

  /** Keys and what is to be stored under them; undefined for a deletion. */
  *[Symbol.iterator](): Generator<readonly [key: Uint8Array, stored: Uint8Array | undefined]> {
    let at = 0;
    for (let i = 0; i < this.#ends.length; i += 2) {
      const keyEnd = this.#ends[i] as number;
      const end = this.#ends[i + 1] as number;
      const key = this.#bytes.subarray(at, keyEnd);
      yield [key, end < 0 ? undefined : this.#bytes.subarray(keyEnd, end)];
      at = end < 0 ? keyEnd : end;
    }
  }

  #append(bytes: Uint8Array): number {
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
    return this.#end;
  }

  #reserve(count: number): void {
    const needed = this.#end + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = larger;
  }
}

/** The empty key is the adapter's own. */
function assertKey(key: Uint8Array): void {
  if (key.length === 0) throw new UsageError("a record has a key of at least one byte");
}

/** The value in what is stored under a key; undefined when its checksum is wrong. */
export function openValue(key: Uint8Array, stored: Uint8Array): Uint8Array | undefined {
  if (stored.length < checksumBytes) return undefined;
  const crc = checksum(stored, checksumBytes, stored.length, checksum(key, 0, key.length));
  const isRight =
    stored[0] === (crc & 255) &&
    stored[1] === ((crc >>> 8) & 255) &&
    stored[2] === ((crc >>> 16) & 255) &&
    stored[3] === crc >>> 24;
  return isRight ? stored.subarray(checksumBytes) : undefined;
}
