/**
 * Records in a directory, by LevelDB. What does the adapter add to it?
 *
 * - LevelDB's lock goes when it closes, and after an error it has to be closed and opened again. So
 *   the records are in `records/`, and `lock/` is a second, empty LevelDB that is held throughout.
 * - LevelDB skips what it cannot read in its logs, and verifies no table that it reads. Both are read
 *   here before it opens them (level-log.ts, level-files.ts); each value carries a checksum besides,
 *   for what happens to it later, when tables are merged.
 * - After a failed write LevelDB goes on to write behind the broken place, and loses that at the next
 *   opening. So a failed write closes the database, cuts its log after the last write that was
 *   good, and opens it again, then or as soon as that is possible.
 * - LevelDB synchronises only its newest log, so a synchronised write does that for an older one.
 */
import { mkdir, open, readFile, realpath, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { ClassicLevel } from "classic-level";
import { StorageError } from "../../errors.ts";
import type { StorageBackend, StorageEngine } from "../storage.ts";
import { copyStore, type StoreCopy } from "./level-copy.ts";
import { LevelEngine } from "./level-engine.ts";
import { asStorageError, codeOf, messageOf } from "./level-errors.ts";
import { liveFiles, verifyTables } from "./level-files.ts";
import { cut, type Database, databaseAt, examine, openRecords } from "./level-records.ts";

/**
 * Keeps records in a directory, which is made when it is opened to be written. Opening reads and
 * verifies all files; with `readOnly`, it opens a copy of the logs and links to the tables in the
 * directory for temporary files, and changes nothing but the lock.
 */
export function levelStorage(directory: string): StorageBackend {
  return {
    open: async ({ readOnly = false } = {}) => {
      try {
        return await openEngine(directory, readOnly);
      } catch (error) {
        throw asStorageError(error, directory);
      }
    },
  };
}

async function openEngine(directory: string, readOnly: boolean): Promise<StorageEngine> {
  const isFound = await isDirectory(join(directory, "records"));
  if (readOnly && !isFound) throw noReplica(directory);
  if (!isFound) await makeFolders(directory);
  // LevelDB's lock knows a directory by its name within one process.
  const path = await realpath(directory);
  const lock = await takeLock(path);
  let copy: StoreCopy | undefined;
  try {
    const records = join(path, "records");
    const files = await liveFiles(records);
    if (readOnly && !files) throw noReplica(directory);
    if (files) await verifyTables(records, files.tables);
    const findings = examine(records, files?.logs ?? []);
    if (readOnly && files) copy = await copyStore(records, files, findings);
    else await cut(records, files?.logs ?? [], findings);
    const opened = await openRecords(records, copy?.directory ?? records, findings.last);
    return new LevelEngine({ path, lock, copy, tornBytes: findings.tornBytes, ...opened });
  } catch (error) {
    await copy?.remove();
    await lock.close();
    throw error;
  }
}

/** LevelDB synchronises the folder that it is in, and none above. */
async function makeFolders(directory: string): Promise<void> {
  await mkdir(join(directory, "records"), { recursive: true });
  // Windows has no such thing.
  if (process.platform === "win32") return;
  for (const path of [directory, dirname(directory)]) {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  }
}

/** An empty database whose lock stands for the whole directory, and goes with the process. */
async function takeLock(path: string): Promise<Database> {
  const location = join(path, "lock");
  const lock = databaseAt(location);
  try {
    await lock.open();
  } catch (error) {
    if (codeOf(error) === "LEVEL_LOCKED") {
      const owner = await readFile(join(location, "owner"), "utf8").catch(() => "another process");
      throw new StorageError(
        `${path} is in use by ${owner.trim()}; nothing was opened. Stop that process, or use another directory`,
        { path, cause: error },
      );
    }
    if (!isDamage(error)) throw error;
    // It holds nothing, so damage to it costs nothing. Destroying takes the lock as well.
    await ClassicLevel.destroy(location);
    await lock.open();
  }
  await writeFile(join(location, "owner"), `process ${process.pid} on ${hostname()}\n`).catch(
    () => {
      // Only a courtesy to whoever finds the directory locked.
    },
  );
  return lock;
}

const noReplica = (path: string): StorageError =>
  new StorageError(`${path} holds no replica; nothing was opened`, { path });

/** LevelDB says that a file is not right, or not there. */
const isDamage = (error: unknown): boolean =>
  codeOf(error) === "LEVEL_CORRUPTION" || /No such file/u.test(messageOf(error));

const isDirectory = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true;
