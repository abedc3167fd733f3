/** What `openReplica` takes. */
import type { DialTlsOptions, DoorOptions } from "./door.ts";
import type { Environment } from "./environment.ts";
import { InvalidValueError, UsageError } from "./errors.ts";
import type { LockBackend } from "./escalate/locks.ts";
import type { Witness } from "./escalate/witness.ts";
import type { FsyncPolicy } from "./store/journal.ts";
import type { Schema } from "./store/schema.ts";
import type { StorageBackend } from "./store/storage.ts";
import type { Transport } from "./sync/transport.ts";
import type { Logger, Telemetry } from "./telemetry.ts";

/** Whom to dial: a URL, or one with a token that travels as `Authorization: Bearer`. */
export type PeerOption =
  | string
  | { readonly url: string; readonly token?: string; readonly tls?: DialTlsOptions };

/** How much is kept for peers that are away. */
export interface RetentionOptions {
  /** Removals kept, at most. Default 1,000,000. */
  readonly logEntriesMax?: number;
  /** How long removals are kept for a peer that is silent, in ms. Default 86,400,000 (a day). */
  readonly peerSilentMsMax?: number;
}

/** Where the state survives, and how soon. */
export interface StorageOptions {
  readonly directory: string;
  /**
   * When the disk is waited for: `always` writes at the end of every turn, `interval` (the default)
   * every `intervalMs`, `never` leaves it to the operating system unless somebody waits for
   * `acknowledged(…, { by: "durable" })`, and counts to peers as memory. No operation waits for the
   * disk.
   */
  readonly fsync?: FsyncPolicy;
  /** In ms. Default 50. */
  readonly intervalMs?: number;
  /**
   * You assert that no copy of the directory runs anywhere, and that it was never set back: what must not
   * be there twice (the lock authority, rights) goes on from it also when it was not closed and nobody
   * outside the directory can confirm that it is the newest. Default false.
   */
  readonly exclusive?: boolean;
}

/**
 * Whose own clients may edit documents through the port. `true`: those in the collection of that name; a name: those in
 * that one. It is made if the schema has none.
 */
export interface DocumentsOptions {
  /** y-websocket, at `/yjs/<document>`, and Hocuspocus, at `/hocuspocus`. Needs the package `yjs`. */
  readonly yjs?: boolean | string;
  /** automerge-repo's WebSocket clients, at `/automerge`. Needs the package `@automerge/automerge`. */
  readonly automerge?: boolean | string;
}

/** What a replica is made of. */
export interface ReplicaOptions<S extends Schema> {
  /** Collections by name; those of peers come in besides. */
  readonly schema: S;
  /** Shown in tools. The actor's id is random, never the name. Default `"replica"`. */
  readonly name?: string;
  /** Omitted: the replica only dials. */
  readonly listen?: DoorOptions;
  /** Speaks to clients of other libraries where we listen. Default: to none. */
  readonly documents?: DocumentsOptions;
  readonly peers?: readonly PeerOption[];
  /** A peer, or a stamp, further ahead of our clock is refused, or held, in ms. Default 60,000. */
  readonly clockAheadMsMax?: number;
  readonly retention?: RetentionOptions;
  /** Where the state survives: a directory, or a backend of one's own. Omitted: in memory only. */
  readonly storage?: string | StorageOptions | StorageBackend;
  /**
   * What escalated operations go through. Default `embeddedLocks()`: whatever replica of the cluster hosts
   * the lock authority; one with neither `listen` nor `peers` hosts its own. Disposed of with the replica.
   */
  readonly locks?: LockBackend;
  /** Default: silent. Anything that is pino-compatible. */
  readonly logger?: Logger;
  /** Lines of the log may name keys and resources, and have the messages of errors about them. Default false. */
  readonly logKeys?: boolean;
  /** Default: silent. */
  readonly telemetry?: Telemetry;
  /** Clock, timers, randomness, network, the memory of the machine: for tests. */
  readonly environment?: Environment & { readonly network?: Transport; readonly witness?: Witness };
}

const options = new Set([
  "schema",
  "name",
  "listen",
  "documents",
  "peers",
  "clockAheadMsMax",
  "retention",
  "storage",
  "locks",
  "logger",
  "logKeys",
  "telemetry",
  "environment",
]);

/** @throws UsageError for an option that does not exist, InvalidValueError for a value that cannot be. */
export function checkOptions(given: ReplicaOptions<Schema>): void {
  for (const [name, value] of Object.entries(given)) {
    if (value !== undefined && !options.has(name)) throw new UsageError(`no option ${name}`);
  }
  if (given.locks !== undefined && typeof given.locks?.compareAndSet !== "function") {
    throw new UsageError("locks: no lock backend, such as embeddedLocks() or etcdLocks({ hosts })");
  }
  checkStorage(given.storage);
  checkDocuments(given);
  checkNumber("clockAheadMsMax", given.clockAheadMsMax);
  checkNumber("retention.logEntriesMax", given.retention?.logEntriesMax);
  checkNumber("retention.peerSilentMsMax", given.retention?.peerSilentMsMax);
}

/** An option that was given, or none: `undefined` is not passed on. */
export const optional = <N extends string, V>(
  name: N,
  value: V | undefined,
): { readonly [K in N]?: V } =>
  value === undefined ? {} : ({ [name]: value } as { readonly [K in N]: V });

const fsyncPolicies = new Set(["always", "interval", "never"]);

function checkStorage(storage: ReplicaOptions<Schema>["storage"]): void {
  if (storage === undefined || typeof storage === "string") {
    if (storage === "") throw new UsageError("storage: an empty name of a directory");
    return;
  }
  const { exclusive } = storage;
  if (exclusive !== undefined && typeof exclusive !== "boolean") {
    throw new UsageError("storage.exclusive is neither true nor false");
  }
  if ("open" in storage) return;
  const { directory, fsync = "interval", intervalMs } = storage;
  if (typeof directory !== "string" || directory === "") {
    throw new UsageError("storage.directory names no directory");
  }
  if (!fsyncPolicies.has(fsync))
    throw new UsageError(`storage.fsync: there is no ${fsync as string}`);
  checkNumber("storage.intervalMs", intervalMs);
}

const documentLibraries: ReadonlySet<string> = new Set<keyof DocumentsOptions>([
  "yjs",
  "automerge",
]);

function checkDocuments({ documents = {}, listen }: ReplicaOptions<Schema>): void {
  const names = new Set<string>();
  for (const [library, given] of Object.entries({ ...documents })) {
    if (given === undefined || given === false) continue;
    if (!documentLibraries.has(library)) throw new UsageError(`no option documents.${library}`);
    if (given !== true && (typeof (given as unknown) !== "string" || given === "")) {
      throw new UsageError(`documents.${library} is neither true nor the name of a collection`);
    }
    const name = given === true ? library : given;
    if (names.has(name))
      throw new UsageError(`documents: two libraries for one collection ${name}`);
    names.add(name);
  }
  if (names.size > 0 && listen === undefined) {
    throw new UsageError("documents: clients come to a port, and there is no listen");
  }
}

function checkNumber(path: string, value: number | undefined): void {
  if (value === undefined || (Number.isFinite(value) && value >= 0)) return;
  throw new InvalidValueError(`${path} is ${value}`, {
    path,
    reason: "is not a non-negative number",
  });
}
