/**
 * The idempotency keys that a guarded value remembers, with the result of each. They stand in the envelope
 * beside the value, so a key and what was done under it are one write: there is no moment at which one is
 * there without the other.
 *
 * Nothing is forgotten before its time. Where would the next key go when there is no room? Nowhere: calls
 * with a new key are refused before anything runs, until old ones are past their window.
 *
 * Many callers of one write append one after the other, each to what the one before it left, so memories
 * share what they have in common; none changes what another shows.
 */
import { type ByteReader, ByteWriter, malformed } from "../../store/bytes.ts";
import { type Json, readValue, writeValue } from "../../store/values.ts";

/** Of the digest that a key is remembered by. */
export const keyHashBytes = 16;
/** Keys that one value remembers. */
export const keysMax = 4_096;
/** What one value remembers, in bytes. */
export const memoryBytesMax: number = 1024 * 1024;
/** Of one result, as JSON, in bytes. */
export const resultBytesMax: number = 64 * 1024;
/** Of one entry at most: its hash, time, and result with its length. */
const entryBytesMax = keyHashBytes + 8 + 1 + resultBytesMax + 16;
/** From here on a store that takes little at once may be full. */
const tightBytes: number = 128 * 1024;
/** Old ones are looked for so many times in a window. */
const looksPerWindow = 64;

/** One call that was made under a key. */
export interface Remembered {
  /** The digest of the key, one character a byte. */
  readonly hash: string;
  /** When it was committed, by the wall clock of who committed it. */
  readonly atMs: number;
  /** What it returned. */
  readonly result: Json | undefined;
}

/** What memories share: each shows the first `count` entries. */
interface Log {
  readonly entries: Remembered[];
  readonly places: Map<string, number>;
  readonly writer: ByteWriter;
}

/** Keys and results. Immutable. */
export class KeyMemory {
  static readonly empty: KeyMemory = new KeyMemory(emptyLog(), { count: 0, bytes: 0, dueMs: 0 });

  readonly count: number;
  /** Of its entries, encoded. */
  readonly bytes: number;
  readonly #log: Log;
  /** When it makes sense to look for what is too old. */
  readonly #dueMs: number;

  private constructor(
    log: Log,
    size: { readonly count: number; readonly bytes: number; readonly dueMs: number },
  ) {
    this.#log = log;
    this.count = size.count;
    this.bytes = size.bytes;
    this.#dueMs = size.dueMs;
  }

  /** What was done under this key, if it is remembered. */
  find(hash: string): Remembered | undefined {
    const place = this.#log.places.get(hash);
    return place !== undefined && place < this.count ? this.#log.entries[place] : undefined;
  }

  /** No further result surely fits, into so many bytes. */
  isFull(bytesMax: number): boolean {
    return this.count >= keysMax || this.bytes + entryBytesMax > bytesMax;
  }

  /** Without what is older than the window, as of now. O(1), but for a look at all now and then. */
  at(nowMs: number, windowMs: number): KeyMemory {
    // When there is little room left, each look may make some.
    const isTight = this.count >= keysMax || this.bytes > tightBytes;
    if (this.count === 0 || (nowMs < this.#dueMs && !isTight)) return this;
    const entries = this.#log.entries.slice(0, this.count);
    const kept = entries.filter(({ atMs }) => atMs + windowMs > nowMs);
    const dueMs = nowMs + windowMs / looksPerWindow;
    if (kept.length === entries.length) {
      return new KeyMemory(this.#log, { count: this.count, bytes: this.bytes, dueMs });
    }
    return KeyMemory.#of(kept, dueMs);
  }

  /** With one more, which it does not have yet. */
  with(entry: Remembered): KeyMemory {
    // Another memory may have gone on from here before: then this one goes on in a log of its own.
    const isLast = this.#log.entries.length === this.count && this.count > 0;
    const log = isLast ? this.#log : logOf(this.#log.entries.slice(0, this.count));
    append(log, entry);
    const dueMs = this.#dueMs;
    return new KeyMemory(log, { count: this.count + 1, bytes: log.writer.length, dueMs });
  }

  /** Writes it, so that `read` gives it back. */
  write(into: ByteWriter): void {
    into.varint(this.count);
    into.raw(this.#log.writer.view().subarray(0, this.bytes));
  }

  /** Reads what is not trusted. @throws MalformedError */
  static read(from: ByteReader): KeyMemory {
    const count = from.bounded(keysMax, "the number of keys");
    if (count === 0) return KeyMemory.empty;
    const start = from.offset;
    const entries = Array.from({ length: count }, () => readEntry(from));
    if (from.offset - start > memoryBytesMax) malformed("keys and results are too many bytes");
    if (new Set(entries.map(({ hash }) => hash)).size < count) malformed("a key that is twice");
    return KeyMemory.#of(entries, 0);
  }

  static #of(entries: readonly Remembered[], dueMs: number): KeyMemory {
    const log = logOf(entries);
    return new KeyMemory(log, { count: entries.length, bytes: log.writer.length, dueMs });
  }
}

function emptyLog(): Log {
  return { entries: [], places: new Map(), writer: new ByteWriter() };
}

function logOf(entries: readonly Remembered[]): Log {
  const log = emptyLog();
  for (const entry of entries) append(log, entry);
  return log;
}

function append({ entries, places, writer }: Log, entry: Remembered): void {
  places.set(entry.hash, entries.length);
  entries.push(entry);
  writer.raw(Buffer.from(entry.hash, "latin1"));
  writer.varint(entry.atMs);
  writer.byte(entry.result === undefined ? 0 : 1);
  if (entry.result !== undefined) writeValue(entry.result, writer);
}

function readEntry(from: ByteReader): Remembered {
  const { buffer, byteOffset } = from.raw(keyHashBytes);
  const hash = Buffer.from(buffer, byteOffset, keyHashBytes).toString("latin1");
  const atMs = from.varint();
  const hasResult = from.bounded(1, "whether there is a result");
  const start = from.offset;
  const result = hasResult === 1 ? readValue(from) : undefined;
  if (from.offset - start > resultBytesMax + 16) malformed("a result is too many bytes");
  return { hash, atMs, result };
}
