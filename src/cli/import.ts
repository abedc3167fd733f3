/**
 * The command `trellis import`: writes an export into a directory or a live cluster, as new writes of a new
 * actor. Every line is checked before anything is written.
 */
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { UsageError } from "../errors.ts";
import { openReplica, type Replica, type Schema } from "../index.ts";
import { embeddedLocks } from "../escalate/locks/embedded.ts";
import { mismatch } from "../store/schema.ts";
import { concurrentMax, ConcurrentValues } from "./backup/concurrent-values.ts";
import { type CheckedExport, ExportFile } from "./backup/export-file.ts";
import { type ImportedCollection, Importer, isGuarded, type Refusal } from "./backup/importer.ts";
import type { ParsedHeader } from "./backup/parse.ts";
import { type DialOptions, dialTarget } from "./dialing.ts";
import { shortType } from "./export.ts";
import { locksOfUrl } from "./locks-url.ts";
import { quoted, shown, table } from "./table.ts";

/** The options of `trellis import`. */
export interface ImportCommandOptions extends DialOptions {
  /** Peers of a live cluster. */
  readonly join?: readonly string[];
  /** Write also into collections that hold something. */
  readonly merge?: boolean;
  /** Write bounded, fenced and unique collections, too, through their guards. */
  readonly guarded?: boolean;
  readonly locks?: string;
  /** Accept a lock store whose fences do not survive its restart. */
  readonly weakFence?: boolean;
  /** The longest that any one wait may take, in seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** What was imported. */
export interface Imported {
  readonly from: string;
  readonly to: string;
  readonly collections: readonly ImportedCollection[];
  /** Keys that their guards refused; the first 100. */
  readonly refused: readonly Refusal[];
  /** How many they were. */
  readonly refusedCount: number;
  /** Values of multi-value registers beyond the latest 16, which are left out. */
  readonly valuesLeftOut: number;
}

type Outcome = Omit<Imported, "from" | "to">;

/** Imports, and says what was imported; returns whether no guard refused anything. @throws as `importExport` */
export async function importCommand(
  file: string,
  directory: string | undefined,
  options: ImportCommandOptions,
): Promise<boolean> {
  const imported = await importExport(file, directory, options);
  const isJson = options.json ?? false;
  process.stdout.write(
    `${isJson ? JSON.stringify(imported, undefined, 2) : described(imported)}\n`,
  );
  return imported.refusedCount === 0;
}

/**
 * Imports a file into a directory, or into the cluster of `options.join`.
 * @throws ExportFileError, SchemaMismatchError, UsageError: nothing was written then. What a disk, a peer or
 * the lock store refuses: a part was written, but of a directory that was not there nothing is left.
 */
export async function importExport(
  file: string,
  directory: string | undefined,
  options: ImportCommandOptions,
): Promise<Imported> {
  const { join = [] } = options;
  checkPlace(directory, options);
  await using source = await ExportFile.open(file);
  const checked = await source.check();
  const job = { source, checked, options };
  const outcome =
    directory === undefined ? await write(job) : await intoDirectory(resolve(directory), job);
  return { from: file, to: directory ?? join.join(", "), ...outcome };
}

function checkPlace(directory: string | undefined, options: ImportCommandOptions): void {
  const { join = [], guarded = false, locks } = options;
  if ((directory === undefined) === (join.length === 0)) {
    throw new UsageError("say where to import: a directory, or --join URL of a live cluster");
  }
  if (guarded && directory !== undefined && locks === undefined) {
    throw new UsageError("--guarded into a directory needs the lock store, --locks URL");
  }
}

interface Job {
  readonly source: ExportFile;
  readonly checked: CheckedExport;
  readonly options: ImportCommandOptions;
}

/** A directory that is not there yet has its name only once all is in it. */
async function intoDirectory(directory: string, job: Job): Promise<Outcome> {
  if (existsSync(directory)) return await write(job, directory);
  const unfinished = `${directory}.importing-${Date.now()}`;
  try {
    const outcome = await write(job, unfinished);
    await rename(unfinished, directory);
    return outcome;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
}

async function write({ source, checked, options }: Job, storage?: string): Promise<Outcome> {
  const { join = [], locks, merge = false, guarded = false, weakFence = false } = options;
  const { header } = checked;
  const timeoutMs = options.timeout * 1_000;
  // A replica in a directory of its own would host the lock authority.
  const backend = locks === undefined || !guarded ? embeddedLocks() : await locksOfUrl(locks);
  await using replica = await openReplica<Schema>({
    ...{ schema: {}, name: "trellis import", locks: backend },
    peers: join.map((url) => dialTarget(url, options)),
    ...(storage !== undefined && { storage }),
  });
  if (join.length > 0) await synced(replica, timeoutMs);
  checkTarget(replica, header, { merge, guarded });
  await using concurrent = await ConcurrentValues.open(checked.concurrent);
  const how = { merge, guarded, weakFence, timeoutMs };
  await using importer = new Importer({ replica, concurrent, header, ...how });
  for await (const line of source.read(() => undefined)) await importer.take(line);
  await importer.end();
  const { collections, refused, refusedCount } = importer;
  return { collections, refused, refusedCount, valuesLeftOut: concurrent.dropped };
}

/** @throws UsageError when a peer refuses us, WaitTimeoutError */
async function synced(replica: Replica<Schema>, timeoutMs: number): Promise<void> {
  try {
    await replica.synced({ timeoutMs });
  } catch (cause) {
    const { peers } = replica.status();
    const why = peers.map(({ url = "", refused, lastEnd }) => `${url} ${refused ?? lastEnd ?? ""}`);
    throw new UsageError(`the cluster cannot be reached: ${why.join("; ")}`, { cause });
  }
}

/** @throws SchemaMismatchError, UsageError */
function checkTarget(
  replica: Replica<Schema>,
  { collections }: ParsedHeader,
  { merge, guarded }: { readonly merge: boolean; readonly guarded: boolean },
): void {
  const held = new Map(replica.inventory().map((entry) => [entry.name, entry]));
  for (const { name, type } of collections) {
    const ours = held.get(name);
    if (ours && ours.tag !== type) throw mismatch(name, ours.tag, type);
  }
  if (merge) return;
  const taken = collections.filter(
    ({ name, known }) => (guarded || !isGuarded(known)) && (held.get(name)?.keys ?? 0) > 0,
  );
  if (taken.length === 0) return;
  const names = taken.map(({ name }) => quoted(name, nameLengthShown)).join(", ");
  throw new UsageError(
    `nothing was written: ${names} hold something already. To import all the same, say --merge: counters ` +
      "then GROW by what is in the file (twice, if it was imported before), registers and fields are " +
      "overwritten, elements and entries are added, documents are joined, and nothing is removed",
  );
}

const nameLengthShown = 60;

function described(imported: Imported): string {
  const { from, to, collections, refused, refusedCount, valuesLeftOut } = imported;

  const rows = collections.map(({ name, type, written, skipped, reason = "" }) => [
    quoted(name, nameLengthShown),
    ...[shortType(type), written, skipped, reason],
  ]);
  return [
    `${from} to ${to}`,
    table(["collection", "type", "keys written", "skipped", ""], rows),
    ...refused.map(
      ({ collection, key, reason }) =>
        `refused: ${quoted(collection, nameLengthShown)} ${quoted(key, nameLengthShown)}: ${reason}`,
    ),
    ...(refusedCount > refused.length ? [`and ${shown(refusedCount - refused.length)} more`] : []),
    ...(valuesLeftOut > 0
      ? [
          `left out: ${shown(valuesLeftOut)} values of registers that hold more than ${concurrentMax}`,
        ]
      : []),
    `${shown(collections.reduce((sum, { written }) => sum + written, 0))} keys are imported`,
  ].join("\n");
}
