/** The changes of one batch, copied as they come, with a checksum over each key and value. */
import { UsageError } from "../../errors.ts";
import { checksum } from "./level-checksum.ts";

const checksumBytes = 4;

const chunkBytesMin = 1024;
const chunkBytesMax = 256 * 1024;

/** Some of the changes. A chunk that is full stays where it is: copying a large one takes too long. */
interface Chunk {
  readonly bytes: Uint8Array;
  end: number;
  /** For each change where its key ends and where its value does; -1 for a deletion. */
  readonly ends: number[];
}

/** Changes in the order in which they were made. */
export class LevelChanges {
  #chunk = newChunk(chunkBytesMin);
  readonly #chunks: Chunk[] = [this.#chunk];
  /** Bytes of all keys and values. */
  bytes = 0;
  /** How many changes there are, and how many of them are deletions. */
  count = 0;
  deletions = 0;

  put(key: Uint8Array, value: Uint8Array): void {
    assertKey(key);
    const chunk = this.#reserve(key.length + checksumBytes + value.length);
    const { bytes } = chunk;
    const keyEnd = append(chunk, key);
    const valueAt = keyEnd + checksumBytes;
    chunk.end = valueAt;
    const end = append(chunk, value);
    const crc = checksum(bytes, valueAt, end, checksum(key, 0, key.length));
    bytes[keyEnd] = crc;
    bytes[keyEnd + 1] = crc >>> 8;
    bytes[keyEnd + 2] = crc >>> 16;
    bytes[keyEnd + 3] = crc >>> 24;
    chunk.ends.push(keyEnd, end);
  }

  delete(key: Uint8Array): void {
    assertKey(key);
    const chunk = this.#reserve(key.length);
    chunk.ends.push(append(chunk, key), -1);
    this.deletions++;
  }

  /** Keys and what is to be stored under them; undefined for a deletion. */
  *[Symbol.iterator](): Generator<readonly [key: Uint8Array, stored: Uint8Array | undefined]> {
    for (const { bytes, ends } of this.#chunks) {
      let at = 0;
      for (let i = 0; i < ends.length; i += 2) {
        const keyEnd = ends[i] as number;
        const end = ends[i + 1] as number;
        const key = bytes.subarray(at, keyEnd);
        yield [key, end < 0 ? undefined : bytes.subarray(keyEnd, end)];
        at = end < 0 ? keyEnd : end;
      }
    }
  }

  /** Where so many bytes more have room, for one change. */
  #reserve(count: number): Chunk {
    this.bytes += count;
    this.count++;
    if (this.#chunk.end + count > this.#chunk.bytes.length) {
      const larger = Math.min(2 * this.#chunk.bytes.length, chunkBytesMax);
      this.#chunk = newChunk(Math.max(count, larger));
      this.#chunks.push(this.#chunk);
    }
    return this.#chunk;
  }
}

const newChunk = (bytes: number): Chunk => ({ bytes: new Uint8Array(bytes), end: 0, ends: [] });

/** Copies to the end; returns where that is then. */
function append(chunk: Chunk, bytes: Uint8Array): number {
  chunk.bytes.set(bytes, chunk.end);
  chunk.end += bytes.length;
  return chunk.end;
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
