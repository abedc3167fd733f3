/** Records in an open LevelDB: reading, writing in groups, and going on after a failure. */
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Iterator } from "classic-level";
import { ClosedError, UsageError } from "../../errors.ts";
import type { StorageEngine, StoredRecord, WriteBatch } from "../storage.ts";
import { LevelChanges, openValue } from "./level-changes.ts";
import { LevelCompaction } from "./level-compaction.ts";
import type { StoreCopy } from "./level-copy.ts";
import { asStorageError, codeOf } from "./level-errors.ts";
import { damaged, liveFiles } from "./level-files.ts";
import { encodeMarker, markerKey } from "./level-log.ts";
import { cut, type Database, examine, type Opened, openRecords } from "./level-records.ts";

type Reading = Iterator<Database, Uint8Array, Uint8Array>;

const pageRecords = 1_000;
const pageBytes = 256 * 1024;
/** Changes, and bytes, handed to LevelDB before other work may go on; 3 ms or so. */
const turnChanges = 1_000;
const turnBytes = 512 * 1024;
/** Batches that wait are written together, up to about this many bytes. */
const groupBytesMax = 4 * 1024 * 1024;

interface Waiting {
  readonly changes: LevelChanges;
  readonly sync: boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** What an engine is made of. */
export interface EngineParts extends Opened {
  readonly path: string;
  readonly lock: Database;
  readonly copy: StoreCopy | undefined;
  readonly tornBytes: number;
}

/** Records that are open. Writes go one after the other; those that wait meanwhile go together. */
export class LevelEngine implements StorageEngine {
  readonly location: string;
  readonly tornBytes: number;
  readonly #lock: Database;
  readonly #copy: StoreCopy | undefined;
  /** Absent after a failure, until it could be opened again. */
  #database: Database | undefined;
  /** The last batch that was written, the last that is on the disk, and what the last one says of that. */
  #written: number;
  #synced: number;
  #said: number;
  readonly #compaction = new LevelCompaction(() => this.size());
  #waiting: Waiting[] = [];
  #working: Promise<void> = Promise.resolve();
  #isWorking = false;
  #closing: Promise<void> | undefined;

  constructor({ path, lock, copy, tornBytes, database, batch }: EngineParts) {
    this.location = path;
    this.tornBytes = tornBytes;
    this.#lock = lock;
    this.#copy = copy;
    this.#database = database;
    // Opening has moved the logs into tables, which LevelDB synchronises.
    this.#written = batch;
    this.#synced = batch;
    this.#said = batch;
  }

  batch(): WriteBatch {
    if (this.#copy) throw new UsageError(`${this.location} was opened to be read only`);
    let changes = new LevelChanges();
    return {
      put: (key, value) => changes.put(key, value),
      delete: (key) => changes.delete(key),
      write: ({ sync }) => {
        const written = changes;
        changes = new LevelChanges();
        return this.#write(written, sync);
      },
      discard: () => {
        changes = new LevelChanges();
      },
    };
  }

  async *read(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly StoredRecord[]> {
    const database = this.#database ?? (await this.#reopened());
    const iterator = this.#iterator(database, from, to);
    try {
      for (;;) {
        const entries = await iterator.nextv(pageRecords);
        if (entries.length === 0) return;
        const page: StoredRecord[] = [];
        for (const [key, framed] of entries) {
          if (key.length === 0) continue;
          const value = openValue(key, framed);
          if (!value) {
            const name = Buffer.from(key).toString("hex");
            throw damaged(
              join(this.location, "records"),
              "",
              `has a wrong checksum in the record ${name}`,
            );
          }
          this.#compaction.read(key.length + value.length);
          page.push({ key, value });
        }
        if (page.length > 0) yield page;
      }
    } catch (error) {
      throw asStorageError(error, this.location);
    } finally {
      await iterator.close();
    }
  }

  #iterator(database: Database, from: Uint8Array, to: Uint8Array): Reading {
    if (this.#closing) throw new ClosedError(`${this.location} is closed`);
    return database.iterator({
      gte: from,
      lt: to,
      fillCache: false,
      highWaterMarkBytes: pageBytes,
    });
  }

  async size(): Promise<number> {
    let size = 0;
    for (const folder of ["records", "lock"]) {
      const names = await readdir(join(this.location, folder));
      for (const name of names) {
        // LevelDB deletes files at any time.
        const found = await stat(join(this.location, folder, name)).catch(() => undefined);
        if (found?.isFile() === true) size += found.size;
      }
    }
    return size;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#working;
    try {
      if (this.#database && this.#said < this.#written) {
        // Says that all is on the disk, so that damage to it is found. Nothing is lost without it.
        await this.#put(this.#database, [], true).catch(() => undefined);
      }
      await this.#compaction.ended();
      await this.#database?.close();
    } finally {
      this.#database = undefined;
      await this.#copy?.remove();
      await this.#lock.close();
    }
  }

  #write(changes: LevelChanges, sync: boolean): Promise<void> {
    if (this.#closing) {
      return Promise.reject(new ClosedError(`${this.location} is closed; nothing was written`));
    }
    const done = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ changes, sync, resolve, reject });
    });
    if (!this.#isWorking) this.#working = this.#work();
    return done;
  }

  /** Writes what waits, one group after the other: LevelDB's threads keep no order. */
  async #work(): Promise<void> {
    this.#isWorking = true;
    while (this.#waiting.length > 0) {
      const group = this.#nextGroup();
      try {
        const database = this.#database ?? (await this.#reopened());
        await this.#put(
          database,
          group.map(({ changes }) => changes),
          group.some(({ sync }) => sync),
        );
        for (const { resolve } of group) resolve();
      } catch (error) {
        const failure = asStorageError(error, this.location);
        if (this.#database) await this.#recover();
        for (const { reject } of group) reject(failure);
      }
    }
    this.#isWorking = false;
  }

  #nextGroup(): Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const { changes } of this.#waiting) {
      if (count > 0 && bytes + changes.bytes > groupBytesMax) break;
      bytes += changes.bytes;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #put(database: Database, group: readonly LevelChanges[], sync: boolean): Promise<void> {
    const batch = database.batch();
    const number = this.#written + 1;
    const said = this.#synced;
    let [count, bytes] = [0, 0];
    try {
      batch.put(markerKey, encodeMarker({ batch: number, synced: said }));
      for (const changes of group) {
        for (const [key, value] of changes) {
          if (value) batch.put(key, value);
          else batch.del(key);
          bytes += value?.length ?? 0;
          if (++count < turnChanges && bytes < turnBytes) continue;
          [count, bytes] = [0, 0];
          await endOfTurn();
        }
      }
    } catch (error) {
      await batch.close();
      throw error;
    }
    await batch.write({ sync });
    if (sync && this.#written > this.#synced) await this.#syncOlderLogs();
    this.#written = number;
    this.#said = said;
    if (sync) this.#synced = number;
    this.#compaction.wrote(database, group);
  }

  /** A log that LevelDB has just left may hold writes that nobody has synchronised. */
  async #syncOlderLogs(): Promise<void> {
    const records = join(this.location, "records");
    const logs = (await readdir(records)).filter((name) => /^\d+\.log$/u.test(name));
    const numberOf = (name: string): number => Number.parseInt(name, 10);
    const newest = Math.max(...logs.map(numberOf));
    for (const name of logs.filter((log) => numberOf(log) !== newest)) {
      try {
        const file = await open(join(records, name), "r");
        try {
          await file.datasync();
        } finally {
          await file.close();
        }
      } catch (error) {
        // Meanwhile in a table, which is synchronised.
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
  }

  /** Leaves a database that failed, cuts what it may have half written, and tries to go on. */
  async #recover(): Promise<void> {
    const failed = this.#database;
    this.#database = undefined;
    await failed?.close().catch(() => undefined);
    // Otherwise it is tried again before the next write or reading, which then says why not.
    await this.#reopened().catch(() => undefined);
  }

  #reopening: Promise<Database> | undefined;

  /** Opens the database again, once for all who ask. */
  #reopened(): Promise<Database> {
    this.#reopening ??= this.#reopen().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #reopen(): Promise<Database> {
    try {
      if (this.#closing && !this.#isWorking) throw new ClosedError(`${this.location} is closed`);
      const records = join(this.location, "records");
      const logs = (await liveFiles(records))?.logs ?? [];
      const findings = examine(records, logs, this.#written);
      await cut(records, logs, findings);
      const { database } = await openRecords(records, records, this.#written);
      this.#database = database;
      this.#synced = this.#written;
      return database;
    } catch (error) {
      throw asStorageError(error, this.location);
    }
  }
}

const endOfTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
