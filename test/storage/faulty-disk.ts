/**
 * A disk that fails as disks do, under a seed. Writes that were not synchronised may be lost from
 * the end when the machine crashes, the next one may be torn (all of it is lost, and found to be), a
 * write that runs ends before or after. Writes fail on demand, and while the disk is full.
 *
 *   const disk = new FaultyDisk(seed);
 *   const replica = await openReplica({ storage: disk.backend(environment), … });
 *   disk.isFull = true;           // writes fail until it is false
 *   disk.crash();                 // what was promised so far never settles: its process is gone
 *   const other = disk.copy();    // the directory, copied while it is in use
 *   disk.restore(image);          // an image that disk.image() made earlier
 */
import type { Environment } from "../../src/environment.ts";
import { ClosedError, CorruptStorageError, StorageError, UsageError } from "../../src/errors.ts";
import type {
  StorageBackend,
  StorageEngine,
  StoredRecord,
  WriteBatch,
} from "../../src/store/storage.ts";
import { Random } from "../simulation/virtual-environment.ts";

const pageRecords = 100;

type Records = Map<string, Uint8Array>;
type Change = readonly [name: string, value: Uint8Array | undefined];

/** What a directory held at some time. */
export interface DiskImage {
  readonly records: ReadonlyMap<string, Uint8Array>;
}

interface Write {
  readonly changes: readonly Change[];
  readonly sync: boolean;
  readonly settle: (error?: Error) => void;
}

/** How long a write takes, in ms: at random up to these. */
export interface Delays {
  readonly writeMsMax: number;
  readonly syncMsMax: number;
}

/** One directory on one disk. Used as a backend itself, it is as fast as promises are. */
export class FaultyDisk implements StorageBackend {
  /** Writes fail while this is true. */
  isFull = false;
  /** This many writes fail with an I/O error. */
  failures = 0;
  /** How many of the other writes fail with an I/O error, from 0 to 1. */
  failureChance = 0;
  delays: Delays = { writeMsMax: 5, syncMsMax: 20 };
  readonly #random: Random;
  /** What survives a crash for sure, and what an open engine reads. */
  #safe: Records = new Map();
  #seen: Records = new Map();
  /** What was written since the last synchronised write, in order. */
  #unsynced: Write[] = [];
  /** The write that is under way, and those behind it. */
  #running: Write | undefined;
  #queue: Write[] = [];
  #tornBytes = 0;
  #damaged = new Set<string>();
  #engine: FaultyEngine | undefined;

  constructor(seed: number | Random) {
    this.#random = typeof seed === "number" ? new Random(seed) : seed;
  }

  open(options: { readonly readOnly?: boolean } = {}): Promise<StorageEngine> {
    return this.#open(undefined, options.readOnly ?? false);
  }

  /** The same disk for one process, with writes that take that process's time. */
  backend(environment: Environment): StorageBackend {
    return { open: ({ readOnly = false } = {}) => this.#open(environment, readOnly) };
  }

  /** True while a process has the directory. */
  get isOpen(): boolean {
    return this.#engine !== undefined;
  }

  /** True while a write is under way. */
  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** The machine fails, or the process does: at any moment, also within a write. */
  crash(): void {
    const doubtful = this.#running ? [...this.#unsynced, this.#running] : this.#unsynced;
    const keptCount = this.#random.below(doubtful.length + 1);
    for (const { changes } of doubtful.slice(0, keptCount)) apply(this.#safe, changes);
    const next = doubtful[keptCount];
    if (next && this.#random.chance(0.5)) {
      this.#tornBytes = 1 + this.#random.below(Math.max(1, bytesOf(next.changes)));
    }
    this.#leave();
    this.#seen = new Map(this.#safe);
  }

  /** A copy of the directory as a copying program sees it, whether it is in use or not. */
  copy(): FaultyDisk {
    const copy = new FaultyDisk(this.#random.fork());
    copy.restore(this.image());
    if (this.#running && this.#random.chance(0.5)) {
      copy.#tornBytes = 1 + this.#random.below(Math.max(1, bytesOf(this.#running.changes)));
    }
    copy.#damaged = new Set(this.#damaged);
    return copy;
  }

  /** What the directory holds now. */
  image(): DiskImage {
    return { records: new Map(this.#seen) };
  }

  /** Sets the directory back, or forward. A process that has it is gone. */
  restore({ records }: DiskImage): void {
    this.#leave();
    this.#safe = new Map(records);
    this.#seen = new Map(records);
    this.#tornBytes = 0;
    this.#damaged.clear();
  }

  /** Bits flip in the record of this key: nothing that reads it goes on. */
  damage(key: Uint8Array): void {
    this.#damaged.add(nameOf(key));
  }

  async #open(environment: Environment | undefined, isReadOnly: boolean): Promise<StorageEngine> {
    if (this.#engine) {
      throw new StorageError("the disk is in use; nothing was opened", { path: "disk" });
    }
    const tornBytes = this.#tornBytes;
    // A reader leaves the torn end where it is.
    if (!isReadOnly) this.#tornBytes = 0;
    const engine: FaultyEngine = new FaultyEngine(
      {
        isOpen: () => this.#engine === engine,
        records: () => this.#seen,
        damaged: () => this.#damaged,
        write: (write) => this.#enqueue(write, environment),
        close: () => this.#close(engine),
      },
      { tornBytes, isReadOnly },
    );
    this.#engine = engine;
    return engine;
  }

  #close(engine: FaultyEngine): void {
    if (this.#engine !== engine) return;
    // The operating system has it all and nothing has crashed since.
    this.#synchronise();
    this.#engine = undefined;
  }

  #leave(): void {
    this.#unsynced = [];
    this.#running = undefined;
    this.#queue = [];
    this.#engine = undefined;
  }

  #enqueue(write: Write, environment: Environment | undefined): void {
    this.#queue.push(write);
    if (!this.#running) this.#next(environment);
  }

  #next(environment: Environment | undefined): void {
    const write = this.#queue.shift();
    this.#running = write;
    if (!write) return;
    const end = (): void => {
      // Otherwise it ended in a crash.
      if (this.#running !== write) return;
      this.#running = undefined;
      this.#end(write);
      if (!this.#running) this.#next(environment);
    };
    const { writeMsMax, syncMsMax } = this.delays;
    const delayMsMax = write.sync ? writeMsMax + syncMsMax : writeMsMax;
    if (environment) environment.schedule(this.#random.next() * delayMsMax, end);
    else queueMicrotask(end);
  }

  #end(write: Write): void {
    const failure = this.#failure();
    if (failure) {
      write.settle(failure);
      return;
    }
    apply(this.#seen, write.changes);
    this.#unsynced.push(write);
    if (write.sync) this.#synchronise();
    write.settle();
  }

  #failure(): StorageError | undefined {
    if (this.isFull) {
      const cause = Object.assign(new Error("ENOSPC: no space left"), { code: "ENOSPC" });
      return new StorageError("the disk is full; nothing was written", { path: "disk", cause });
    }
    if (this.failures > 0) this.failures--;
    else if (!this.#random.chance(this.failureChance)) return undefined;
    const cause = Object.assign(new Error("EIO: i/o error"), { code: "EIO" });
    return new StorageError("the disk failed; nothing was written", { path: "disk", cause });
  }

  #synchronise(): void {
    for (const { changes } of this.#unsynced) apply(this.#safe, changes);
    this.#unsynced = [];
  }
}

/** What an engine needs of its disk. */
interface Disk {
  readonly isOpen: () => boolean;
  readonly records: () => Records;
  readonly damaged: () => ReadonlySet<string>;
  readonly write: (write: Write) => void;
  readonly close: () => void;
}

class FaultyEngine implements StorageEngine {
  readonly location = "disk";
  readonly tornBytes: number;
  readonly #disk: Disk;
  readonly #isReadOnly: boolean;
  #closing: Promise<void> | undefined;
  /** Settles with the last write that was begun. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(disk: Disk, options: { readonly tornBytes: number; readonly isReadOnly: boolean }) {
    this.#disk = disk;
    this.tornBytes = options.tornBytes;
    this.#isReadOnly = options.isReadOnly;
  }

  batch(): WriteBatch {
    if (this.#isReadOnly) throw new UsageError("the disk was opened to be read only");
    let changes: Change[] = [];
    const add = (key: Uint8Array, value?: Uint8Array): void => {
      if (key.length === 0) throw new UsageError("a record has a key of at least one byte");
      changes.push([nameOf(key), value && Uint8Array.from(value)]);
    };
    return {
      put: add,
      delete: (key) => add(key),
      write: ({ sync }) => {
        const written = changes;
        changes = [];
        return this.#write(written, sync);
      },
      discard: () => {
        changes = [];
      },
    };
  }

  async *read(from: Uint8Array, to: Uint8Array): AsyncIterable<readonly StoredRecord[]> {
    if (this.#closing) throw new ClosedError("the disk is closed");
    if (!this.#disk.isOpen()) await never();
    const [first, end] = [nameOf(from), nameOf(to)];
    const found = [...this.#disk.records()].filter(([name]) => name >= first && name < end);
    found.sort(([left], [right]) => (left < right ? -1 : 1));
    for (let at = 0; at < found.length; at += pageRecords) {
      const page = found.slice(at, at + pageRecords);
      const damaged = page.find(([name]) => this.#disk.damaged().has(name));
      if (damaged) {
        const name = Buffer.from(damaged[0], "latin1").toString("hex");
        throw new CorruptStorageError(`the record ${name} is damaged`, { path: "disk" });
      }
      yield page.map(([name, value]) => ({
        key: Buffer.from(name, "latin1"),
        value: value.slice(),
      }));
    }
  }

  async size(): Promise<number> {
    return bytesOf([...this.#disk.records()]);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // After a crash there is nothing to wait for.
    if (this.#disk.isOpen()) await this.#last;
    this.#disk.close();
  }

  #write(changes: readonly Change[], sync: boolean): Promise<void> {
    if (this.#closing) return Promise.reject(new ClosedError("the disk is closed"));
    if (!this.#disk.isOpen()) return never();
    const done = new Promise<void>((resolve, reject) => {
      const settle = (error?: Error): void => (error ? reject(error) : resolve());
      this.#disk.write({ changes, sync, settle });
    });
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** What a process that is gone waits for. */
const never = (): Promise<never> => new Promise(() => undefined);

function apply(records: Records, changes: readonly Change[]): void {
  for (const [name, value] of changes) {
    if (value) records.set(name, value);
    else records.delete(name);
  }
}

const bytesOf = (changes: readonly Change[]): number =>
  changes.reduce((sum, [name, value]) => sum + name.length + (value?.length ?? 0), 0);

/** A string whose order is that of the bytes. */
const nameOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
