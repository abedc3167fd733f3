/** Records in the memory of this process: for tests, and to see what durability costs without a disk. */
import { ClosedError, StorageError, UsageError } from "../../errors.ts";
import type { StorageBackend, StorageEngine, StoredRecord, WriteBatch } from "../storage.ts";

const pageRecords = 1_000;

/** A change: a deletion when it has no value. */
type Change = readonly [name: string, value: Uint8Array | undefined];

/** What was written stays for the next opening, as long as the process runs. One opens it at a time. */
export function memoryStorage(): StorageBackend {
  const records = new Map<string, Uint8Array>();
  let isOpen = false;
  return {
    exclusive: true,
    open: async ({ readOnly = false } = {}) => {
      if (isOpen) throw new StorageError("this memory is in use; close what has it open first");
      isOpen = true;
      return new MemoryEngine(records, readOnly, () => {
        isOpen = false;
      });
    },
  };
}

class MemoryEngine implements StorageEngine {
  readonly location = "memory";
  readonly tornBytes = 0;
  readonly #records: Map<string, Uint8Array>;
  readonly #isReadOnly: boolean;
  readonly #release: () => void;
  #isClosed = false;

  constructor(records: Map<string, Uint8Array>, isReadOnly: boolean, release: () => void) {
    this.#records = records;
    this.#isReadOnly = isReadOnly;
    this.#release = release;
  }

  batch(): WriteBatch {
    if (this.#isReadOnly) throw new UsageError("this memory was opened to be read only");
    let changes: Change[] = [];
    const add = (key: Uint8Array, value?: Uint8Array): void => {
      if (key.length === 0) throw new UsageError("a record has a key of at least one byte");
      changes.push([nameOf(key), value && Uint8Array.from(value)]);
    };
    return {
      put: add,
      delete: (key) => add(key),
      write: async () => {
        const written = changes;
        changes = [];
        this.#write(written);
      },
      discard: () => {
        changes = [];
      },
    };
  }

  async *read(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly StoredRecord[]> {
    if (this.#isClosed) throw new ClosedError("this memory is closed");
    const [first, end] = [nameOf(from), nameOf(to)];
    const found = [...this.#records].filter(([name]) => name >= first && name < end);
    found.sort(([left], [right]) => (left < right ? -1 : 1));
    for (let at = 0; at < found.length; at += pageRecords) {
      yield found
        .slice(at, at + pageRecords)
        .map(([name, value]) => ({ key: Buffer.from(name, "latin1"), value: value.slice() }));
    }
  }

  async size(): Promise<number> {
    let size = 0;
    for (const [name, value] of this.#records) size += name.length + value.length;
    return size;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#release();
  }

  #write(changes: readonly Change[]): void {
    if (this.#isClosed) throw new ClosedError("this memory is closed; nothing was written");
    for (const [name, value] of changes) {
      if (value) this.#records.set(name, value);
      else this.#records.delete(name);
    }
  }
}

/** A string whose order is that of the bytes. */
const nameOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
