/**
 * Opens what a replica is stored in, and makes its keyspace durable.
 */
import type { VersionVector } from "./crdt/version-vector.ts";
import type { Environment } from "./environment.ts";
import { StorageError, UsageError } from "./errors.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import { type FsyncPolicy, Journal } from "./store/journal.ts";
import type { KnownPeer } from "./store/known-peer.ts";
import type { Keyspace } from "./store/keyspace.ts";
import { restore } from "./store/restore.ts";
import type { Schema } from "./store/schema.ts";
import { measuredStorage } from "./store/measured-storage.ts";
import type { StorageBackend, StorageEngine } from "./store/storage.ts";
import { levelStorage } from "./store/storage/level.ts";
import { coversNamed, type NamedVector } from "./store/version-token.ts";
import type { Waiting, WaitOptions } from "./store/waiting.ts";
import type { Logger, Telemetry } from "./telemetry.ts";

/** What a replica says of its storage. */
export interface StorageStatus {
  readonly kind: "memory" | "durable";
  /** A directory; absent in memory. */
  readonly location?: string;
  /** Nodes that changed since they were last written. */
  readonly pending?: number;
  /** Why the last write failed; it is tried again. Absent when it did not. */
  readonly failure?: string;
}

const intervalMsDefault = 50;
/** Records between two lines in the log while a large store is read. */
const progressRecords = 250_000;

/** What durability is made of. */
export interface DurabilityOptions {
  readonly storage: NonNullable<ReplicaOptions<Schema>["storage"]>;
  readonly keyspace: Keyspace;
  readonly environment: Environment;
  readonly waiting: Waiting;
  readonly logger: Logger;
  /** Absent: nobody takes figures. */
  readonly telemetry: Telemetry | undefined;
  /** How far peers are. */
  readonly peers: () => readonly KnownPeer[];
  /** The disk has begun to refuse; for people. */
  readonly onRefused: (message: string) => void;
  /** More is durable, or a write failed, or none fails any longer. */
  readonly onChange: () => void;
}

interface Opened {
  readonly engine: StorageEngine;
  readonly peers: readonly KnownPeer[];
  readonly former: number | undefined;
  readonly hasCrashed: boolean;
  readonly isEmpty: boolean;
}

/** A keyspace on a disk. */
export class Durability {
  readonly #options: DurabilityOptions;
  readonly #engine: StorageEngine;
  readonly #journal: Journal;
  /** The peers that were known when the storage was last written, and how far they were. */
  readonly peers: readonly KnownPeer[];
  /** The number of the actor that wrote here before us. */
  readonly former: number | undefined;
  /** Whether the run before this one was not closed: peers may have more of what it wrote. */
  readonly hasCrashed: boolean;
  /** Whether nothing was stored before: the directory is new, or another one was lost. */
  readonly isNew: boolean;
  #hasFailed = false;

  /**
   * Opens the storage and reads it into the keyspace, which must be empty.
   * @throws StorageError, CorruptStorageError, SchemaMismatchError; the storage is closed then.
   */
  static async open(options: DurabilityOptions): Promise<Durability> {
    const { storage, keyspace, environment, logger, telemetry } = options;
    const opened = await backendOf(storage).open();
    const engine = telemetry ? measuredStorage(opened, { environment, telemetry }) : opened;
    try {
      let told = 0;
      const beganMs = environment.monotonic();
      const onProgress = ({ records }: { readonly records: number }): void => {
        if (records < told + progressRecords) return;
        told = records;
        const latencyMs = Math.round(environment.monotonic() - beganMs);
        logger.info({ records, location: engine.location, latencyMs }, "reading the storage");
      };
      const { numbers, peers, hasCrashed, isEmpty, writer } = await restore({
        keyspace,
        engine,
        environment,
        onProgress,
      });
      const { fsync, intervalMs } = policyOf(storage);
      const found = { engine, peers, hasCrashed, isEmpty, former: writer };
      return new Durability(options, found, (onChange) => {
        const state = { keyspace, engine, environment, numbers, peers: options.peers };
        return new Journal({ ...state, fsync, intervalMs, onChange });
      });
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  private constructor(
    options: DurabilityOptions,
    { engine, peers, hasCrashed, isEmpty, former }: Opened,
    journal: (onChange: () => void) => Journal,
  ) {
    this.#options = options;
    this.#engine = engine;
    this.peers = peers;
    this.former = former;
    this.hasCrashed = hasCrashed;
    this.isNew = isEmpty;
    this.#journal = journal(() => this.#changed());
    if (engine.tornBytes > 0) {
      const fields = { location: engine.location, bytes: engine.tornBytes };
      options.logger.warn(fields, "the last write was torn by a crash; it was cut off");
    }
  }

  /** What it is stored in: others may keep records there beside it. */
  get engine(): StorageEngine {
    return this.#engine;
  }

  /** What is on the disk. */
  get durable(): VersionVector {
    return this.#journal.durable;
  }

  /** Somebody waits for what is held now. */
  ask(): void {
    this.#journal.ask();
  }

  /** What to show. */
  get status(): StorageStatus {
    const { failure, pending } = this.#journal;
    const { location } = this.#engine;
    const failed = failure === undefined ? {} : { failure: failure.message };
    return { kind: "durable", location, pending, ...failed };
  }

  /**
   * Resolves when `vector` is on the disk.
   * @throws StorageError when it could not be written; WaitTimeoutError; the signal's reason.
   */
  async until(vector: NamedVector, options: WaitOptions): Promise<void> {
    const { keyspace, waiting } = this.#options;
    const { durable } = this.#journal;
    const isThere = (): boolean => coversNamed((actor) => durable.at(actor), keyspace, vector);
    if (isThere()) return;
    const { attempts } = this.#journal;
    this.#journal.ask();
    const hasFailed = (): boolean =>
      this.#journal.failure !== undefined && this.#journal.attempts > attempts;
    const isDecided = (): boolean => isThere() || hasFailed();
    await waiting.until(isDecided, "writing to the disk", options);
    const { failure } = this.#journal;
    if (isThere() || failure === undefined) return;
    const message = `${this.#engine.location}: not durable: ${failure.message}; it is tried again`;
    throw new StorageError(message, { path: this.#engine.location, cause: failure });
  }

  /** Writes what is left and lets others open the storage. @throws StorageError */
  close(): Promise<void> {
    return this.#journal.close();
  }

  #changed(): void {
    const { logger, onChange, onRefused } = this.#options;
    const { failure } = this.#journal;
    const { location } = this.#engine;
    if (failure !== undefined && !this.#hasFailed) {
      logger.error(
        { err: failure, location },
        "the disk refuses; what is written is in memory only",
      );
      const until = "what is written is in memory only, until it does not";
      onRefused(`the disk refuses (${failure.message}); ${until}`);
    } else if (failure === undefined && this.#hasFailed) {
      logger.info({ location }, "the disk takes writes again; all is durable");
    }
    this.#hasFailed = failure !== undefined;
    onChange();
  }
}

function backendOf(storage: DurabilityOptions["storage"]): StorageBackend {
  if (typeof storage === "string") return levelStorage(storage);
  return "open" in storage ? storage : levelStorage(storage.directory);
}

function policyOf(storage: DurabilityOptions["storage"]): {
  readonly fsync: FsyncPolicy;
  readonly intervalMs: number;
} {
  const options = typeof storage === "object" && "directory" in storage ? storage : undefined;
  return {
    fsync: options?.fsync ?? "interval",
    intervalMs: options?.intervalMs ?? intervalMsDefault,
  };
}

/** Whether all that is written is synced before long: then peers are told of it. */
export const syncs = (storage: ReplicaOptions<Schema>["storage"]): boolean =>
  storage !== undefined && policyOf(storage).fsync !== "never";

/** The error for who asks for durability where there is none. */
export const notDurable = (): UsageError =>
  new UsageError("this replica has no storage to be durable on");
