/**
 * A directory as the LevelDB adapter keeps one, on a disk with a write cache: logs of batches, byte for
 * byte, read by the adapter's own code after a crash, and tables that logs are merged into. It says
 * when it comes past a point at which it may crash, and may be told to crash there.
 */
import type { Environment } from "../../src/environment.ts";
import { ClosedError, CorruptStorageError, StorageError, UsageError } from "../../src/errors.ts";
import type {
  StorageBackend,
  StorageEngine,
  StoredRecord,
  WriteBatch,
} from "../../src/store/storage.ts";
import { examineLogs, readLog } from "../../src/store/storage/level-log.ts";
import type { Random } from "../simulation/virtual-environment.ts";
import { CachedFile, type CrashKind } from "./cached-file.ts";
import { type Change, decodeBatch, encodeBatch, fragmentsOf } from "./log-writer.ts";

/** Where a write is. */
export type WritePoint =
  /** Nothing of it is anywhere. */
  | "write begins"
  /** A part of it is in the cache. */
  | "write is torn"
  /** All of it is in the cache. */
  | "write is cached"
  /** It is on the disk, and whoever waits was not told. */
  | "write is synced"
  /** Whoever waits was told. */
  | "write ends"
  /** An older log is in the tables, and gone. */
  | "log is merged";

const pageRecords = 100;
/** A log is left for a new one when it is so long. */
const logBytesMax = 500;

interface Write {
  readonly changes: readonly Change[];
  readonly sync: boolean;
  readonly settle: () => void;
}

/** What a disk is made of. */
export interface LogDiskOptions {
  readonly random: Random;
  /** A write is at this point; what crashes the disk does it from here. */
  readonly at: (point: WritePoint) => void;
  /** For canaries: disks that do not keep what they promise. */
  readonly lies?: "says it is synced when it is cached" | "leaves older logs unsynced";
}

/** One directory. */
export class LogDisk {
  readonly #options: LogDiskOptions;
  /** In tables, which are always safe. */
  #tables = new Map<string, Uint8Array>();
  #logs: CachedFile[] = [];
  /** What an open engine reads. */
  #seen = new Map<string, Uint8Array>();
  #written = 0;
  #synced = 0;
  /** The last batch in the tables. */
  #merged = 0;
  #queue: Write[] = [];
  #isWriting = false;
  /** Grows with each process that has it: those before are gone. */
  #generation = 0;
  #isOpen = false;

  constructor(options: LogDiskOptions) {
    this.#options = options;
  }

  /** The number of the last batch that is written, or that was found. */
  get written(): number {
    return this.#written;
  }

  /** For one process, in its time; `handedOver` is told the number of a batch as it is handed over. */
  backend(environment: Environment, handedOver: (batch: number) => void): StorageBackend {
    return { open: async () => this.#open(environment, handedOver) };
  }

  /** The machine fails, or the process does. */
  crash(kind: CrashKind): void {
    for (const log of this.#logs) log.crash(kind, this.#options.random);
    this.#queue = [];
    this.#isWriting = false;
    this.#generation++;
    this.#isOpen = false;
  }

  #open(environment: Environment, handedOver: (batch: number) => void): StorageEngine {
    if (this.#isOpen) throw new StorageError("the disk is in use");
    this.#isOpen = true;
    const generation = ++this.#generation;
    const tornBytes = this.#recover();
    const isMine = (): boolean => this.#generation === generation;
    let begun = this.#written;
    return new LogEngine({
      tornBytes,
      isMine,
      records: () => this.#seen,
      write: (write) => {
        handedOver(++begun);
        this.#queue.push(write);
        if (!this.#isWriting) this.#next(environment, isMine);
      },
      close: () => {
        if (!isMine()) return;
        // In order: nothing has crashed.
        for (const log of this.#logs) log.sync();
        this.#isOpen = false;
      },
    });
  }

  /** Reads the logs as the adapter does, and moves them into tables. */
  #recover(): number {
    const files = this.#logs.map((log, at) => ({ name: `${at}.log`, bytes: log.bytes }));
    const { keep, last, tornBytes, damage } = examineLogs(files);
    if (damage) {
      const { name, offset } = damage;
      throw new CorruptStorageError(`${name} is damaged at ${offset}: trellis repair disk`, {
        path: "disk",
      });
    }
    for (const [at, { bytes }] of files.entries()) apply(this.#tables, bytes.subarray(0, keep[at]));
    this.#logs = [];
    this.#written = last ?? this.#merged;
    this.#merged = this.#written;
    this.#synced = this.#written;
    this.#seen = new Map(this.#tables);
    return tornBytes;
  }

  #next(environment: Environment, isMine: () => boolean): void {
    const write = this.#queue.shift();
    this.#isWriting = write !== undefined;
    if (!write) return;
    this.#steps(write, environment, isMine);
  }

  /** A write, a step at a time; between two of them the process may be gone. */
  #steps(write: Write, environment: Environment, isMine: () => boolean): void {
    const { random } = this.#options;
    const batch = this.#written + 1;
    const log = this.#log(environment, isMine);
    const content = encodeBatch({ batch, synced: this.#synced }, write.changes);
    const bytes = fragmentsOf(content, log.length);
    const cut = random.below(bytes.length);
    const steps: (() => void)[] = [
      () => this.#options.at("write begins"),
      () => {
        log.append(bytes.subarray(0, cut));
        this.#options.at("write is torn");
      },
      () => {
        log.append(bytes.subarray(cut));
        for (const [name, value] of write.changes) set(this.#seen, name, value);
        this.#written = batch;
        this.#options.at("write is cached");
      },
      ...(write.sync ? [() => this.#sync(log, batch)] : []),
      () => {
        write.settle();
        this.#options.at("write ends");
        if (isMine()) this.#next(environment, isMine);
      },
    ];
    const go = (): void => {
      if (!isMine()) return;
      const step = steps.shift();
      step?.();
      if (isMine() && steps.length > 0) environment.schedule(random.next() * 3, go);
    };
    go();
  }

  #sync(newest: CachedFile, batch: number): void {
    const { lies, at } = this.#options;
    if (lies !== "says it is synced when it is cached") newest.sync();
    if (lies === undefined) for (const log of this.#logs) log.sync();
    this.#synced = batch;
    at("write is synced");
  }

  /** The log to write to. The one that was left is merged in the background. */
  #log(environment: Environment, isMine: () => boolean): CachedFile {
    const newest = this.#logs.at(-1);
    if (newest && newest.length < logBytesMax) return newest;
    const log = new CachedFile();
    this.#logs.push(log);
    const merged = this.#written;
    if (newest) {
      environment.schedule(this.#options.random.below(150), () => {
        if (isMine()) this.#merge(newest, merged);
      });
    }
    return log;
  }

  /** A log and those before it. */
  #merge(log: CachedFile, batch: number): void {
    const count = this.#logs.indexOf(log) + 1;
    if (count === 0) return;
    for (const { bytes } of this.#logs.splice(0, count)) apply(this.#tables, bytes);
    this.#merged = batch;
    this.#options.at("log is merged");
  }
}

/** What an engine needs of its disk. */
interface Directory {
  readonly tornBytes: number;
  /** False once the process is gone. */
  readonly isMine: () => boolean;
  readonly records: () => ReadonlyMap<string, Uint8Array>;
  readonly write: (write: Write) => void;
  readonly close: () => void;
}

class LogEngine implements StorageEngine {
  readonly location = "disk";
  readonly tornBytes: number;
  readonly #directory: Directory;
  #closing: Promise<void> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(directory: Directory) {
    this.#directory = directory;
    this.tornBytes = directory.tornBytes;
  }

  batch(): WriteBatch {
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
    const [first, end] = [nameOf(from), nameOf(to)];
    const found = [...this.#directory.records()].filter(([name]) => name >= first && name < end);
    found.sort(([left], [right]) => (left < right ? -1 : 1));
    for (let at = 0; at < found.length; at += pageRecords) {
      yield found
        .slice(at, at + pageRecords)
        .map(([name, value]) => ({ key: Buffer.from(name, "latin1"), value: value.slice() }));
    }
  }

  async size(): Promise<number> {
    let size = 0;
    for (const [name, value] of this.#directory.records()) size += name.length + value.length;
    return size;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#directory.isMine()) await this.#last;
    this.#directory.close();
  }

  #write(changes: readonly Change[], sync: boolean): Promise<void> {
    if (this.#closing) return Promise.reject(new ClosedError("the disk is closed"));
    // A process that is gone waits for ever.
    const done = new Promise<void>((resolve) => {
      if (this.#directory.isMine()) this.#directory.write({ changes, sync, settle: resolve });
    });
    this.#last = done;
    return done;
  }
}

/** All whole batches of a log, which are those that it is to keep. */
function apply(records: Map<string, Uint8Array>, bytes: Uint8Array): void {
  for (const item of readLog(bytes)) {
    if (item.kind !== "record") throw new Error("assertion: what is kept can be read");
    for (const [name, value] of decodeBatch(item.content)) set(records, name, value);
  }
}

function set(records: Map<string, Uint8Array>, name: string, value: Uint8Array | undefined): void {
  if (value) records.set(name, value);
  else records.delete(name);
}

/** A string whose order is that of the bytes. */
const nameOf = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
