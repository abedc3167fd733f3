/** A LevelDB of ours, from the files that a crash or a failure has left. */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { damaged } from "./level-files.ts";
import {
  decodeMarker,
  examineLogs,
  type LogFile,
  type LogFindings,
  markerKey,
} from "./level-log.ts";

/**
 * About how long a log may be before it becomes a table. Four such tables, and logs, come on top of
 * what is merged: with LevelDB's own 4 MiB, 19 MiB were seen where 0.1 were live; with this, 7. It
 * costs no speed that could be measured.
 */
const logBytesMax = 1024 * 1024;

/** Keys and values are bytes. */
export type Database = ClassicLevel<Uint8Array, Uint8Array>;

/** A database that is not open yet. */
export function databaseAt(location: string): Database {
  return new ClassicLevel(location, {
    keyEncoding: "view",
    valueEncoding: "view",
    compression: false,
    writeBufferSize: logBytesMax,
  });
}

/** Records that are open. */
export interface Opened {
  readonly database: Database;
  /** The number of the last batch. */
  readonly batch: number;
}

/**
 * Opens the records of a store, in its own folder or in a copy of that.
 * @throws CorruptStorageError when the last batch is not the one that is expected.
 */
export async function openRecords(
  records: string,
  location: string,
  expected: number | undefined,
): Promise<Opened> {
  const database = databaseAt(location);
  await database.open();
  const value = await database.get(markerKey);
  const batch = value ? decodeMarker(value)?.batch : 0;
  if (batch === undefined || batch !== (expected ?? batch)) {
    await database.close();
    throw damaged(
      records,
      "",
      `ends with batch ${batch ?? "?"} although its logs end with ${expected ?? "?"}`,
    );
  }
  return { database, batch };
}

/**
 * Reads the logs, as far as the batch `upTo`.
 * @throws CorruptStorageError when they lack what had reached the disk.
 */
export function examine(records: string, logs: readonly LogFile[], upTo?: number): LogFindings {
  const findings = examineLogs(logs, upTo);
  if (findings.damage) {
    const { name, offset } = findings.damage;
    throw damaged(
      records,
      name,
      `cannot be read from byte ${offset} on, although what is missing had reached the disk`,
    );
  }
  return findings;
}

/** Cuts logs after their last good batch, for good. */
export async function cut(
  records: string,
  logs: readonly LogFile[],
  { keep }: LogFindings,
): Promise<void> {
  for (const [at, { name, bytes }] of logs.entries()) {
    const length = keep[at] ?? bytes.length;
    if (length === bytes.length) continue;
    const file = await open(join(records, name), "r+");
    try {
      await file.truncate(length);
      await file.sync();
    } finally {
      await file.close();
    }
  }
}
