/** An engine whose writes pass a test's hands. */
import type { StorageEngine, StoredRecord, WriteBatch } from "../../src/store/storage.ts";

/** Does the write, or not: `go` writes. */
export type OnWrite = (
  go: () => Promise<void>,
  options: { readonly sync: boolean },
) => Promise<void>;

/** Everything else is the inner engine's. */
export class WatchedEngine implements StorageEngine {
  readonly #inner: StorageEngine;
  readonly #onWrite: OnWrite;

  constructor(inner: StorageEngine, onWrite: OnWrite) {
    this.#inner = inner;
    this.#onWrite = onWrite;
  }

  get location(): string {
    return this.#inner.location;
  }

  get tornBytes(): number {
    return this.#inner.tornBytes;
  }

  batch(): WriteBatch {
    const batch = this.#inner.batch();
    return {
      put: (key, value) => batch.put(key, value),
      delete: (key) => batch.delete(key),
      write: (options) => this.#onWrite(() => batch.write(options), options),
      discard: () => batch.discard(),
    };
  }

  read(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly StoredRecord[]> {
    return this.#inner.read(from, to);
  }

  size(): Promise<number> {
    return this.#inner.size();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
