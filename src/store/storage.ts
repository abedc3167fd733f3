/**
 * Where records are kept: an ordered store of small byte strings with atomic writes. Everything else
 * (what the records mean, when they are written) is above this port, so an engine is one small file.
 */

/** One record. Keys sort by their bytes. */
export interface StoredRecord {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** What one write changes, all of it or nothing. A key that is put twice has the last value. */
export interface WriteBatch {
  /** Copies both. */
  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  /**
   * Writes. With `sync` it resolves once the disk has it; without, once the operating system has, and
   * writes may be lost from the end, never from the middle, when the machine fails.
   * @throws StorageError when nothing, or something that will not be read again, was written. The
   * store may be written to again afterwards.
   */
  write(options: { readonly sync: boolean }): Promise<void>;
  /** Drops what was not written. Harmless after `write`. */
  discard(): void;
}

/** Records that are open to one process. */
export interface StorageEngine {
  /** What a person may look for: a directory, or "memory". */
  readonly location: string;
  /** Bytes that were lost from the end of the log when the store was opened: a write that a crash tore. */
  readonly tornBytes: number;
  /** A new, empty batch. */
  batch(): WriteBatch;
  /**
   * All records from `from` on to before `to`, in the order of keys, a good many at a time.
   * @throws CorruptStorageError naming what is damaged.
   */
  read(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly StoredRecord[]>;
  /** Bytes on the disk now. */
  size(): Promise<number>;
  /** Waits for writes that were begun, and lets others open the store. Harmless twice. */
  close(): Promise<void>;
}

/** Opens a store. */
export interface StorageBackend {
  /** Asserted: no copy of what it keeps is ever opened, and it is never set back. Default false. */
  readonly exclusive?: boolean;
  /**
   * @throws StorageError when it cannot be opened, or another process has it; CorruptStorageError when
   * it is damaged.
   */
  open(options?: { readonly readOnly?: boolean }): Promise<StorageEngine>;
}
