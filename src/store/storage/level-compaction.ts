/**
 * When to merge all tables. LevelDB merges some as others come, and so gives back what was written
 * over; but of what is deleted, much stays where nothing comes any more. So once about half of a
 * directory is dead, all of it is merged, in a thread of LevelDB's own.
 */
import type { LevelChanges } from "./level-changes.ts";
import type { Database } from "./level-records.ts";

/** Less than this is left to LevelDB, in bytes. */
const deadBytesMin = 6 * 1024 * 1024;
/** How much of a directory may be dead. */
const deadShareMax = 0.5;
/** What a record has that nobody has seen, in bytes. */
const recordBytesDefault = 48;
/** Keys of ours begin with a letter. */
const firstKey = Uint8Array.of(0x01);
const lastKey = Uint8Array.of(0xff);

/** Merges what one engine writes. */
export class LevelCompaction {
  readonly #size: () => Promise<number>;
  #readBytes = 0;
  #puts = 0;
  #putBytes = 0;
  /** About what is dead; undefined until something is written. */
  #deadBytes: number | undefined;
  #running: Promise<void> | undefined;

  /** `size` tells the bytes of the directory. */
  constructor(size: () => Promise<number>) {
    this.#size = size;
  }

  /** A record was read: before the first write, all of them tell how much is not dead. */
  read(bytes: number): void {
    if (this.#deadBytes === undefined) this.#readBytes += bytes;
  }

  /** A batch was written. Begins to merge if that is due; nobody waits for it. */
  wrote(database: Database, group: readonly LevelChanges[]): void {
    const isFirst = this.#deadBytes === undefined;
    this.#deadBytes ??= 0;
    for (const { bytes, count, deletions } of group) {
      this.#puts += count - deletions;
      this.#putBytes += bytes;
      const recordBytes = this.#puts > 0 ? this.#putBytes / this.#puts : recordBytesDefault;
      this.#deadBytes += deletions * recordBytes;
    }
    if (this.#running || (!isFirst && this.#deadBytes < deadBytesMin)) return;
    this.#running = this.#run(database, isFirst).finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when nothing is merged any more. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(database: Database, isFirst: boolean): Promise<void> {
    try {
      const size = await this.#size();
      if (isFirst) this.#deadBytes = (this.#deadBytes ?? 0) + Math.max(0, size - this.#readBytes);
      const deadBytes = this.#deadBytes ?? 0;
      if (deadBytes < deadBytesMin || deadBytes < size * deadShareMax) return;
      this.#deadBytes = 0;
      await database.compactRange(firstKey, lastKey);
    } catch {
      // The database was closed, or the disk is full: it is tried again when more is dead.
    }
  }
}
