/** A directory: may it be used, is it whole, is there room, and how fast is the disk. */
import { constants } from "node:fs";
import { access, open, rm, stat, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CorruptStorageError, StorageError } from "../../errors.ts";
import { readStoredState } from "../stored-state.ts";
import { shown } from "../table.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

const mebibyte = 1024 * 1024;
const freeFailed = 100 * mebibyte;
const freeWarned = 1024 * mebibyte;
const syncs = 20;
const syncBytes = 4_096;
/** A journal writes every 50 ms. */
const syncMsWarned = 20;
/** File systems that forget, and those whose locks may not hold between machines. */
const systems = new Map([
  [0x01021994, "is in memory (tmpfs): all is gone when the machine starts anew"],
  [0x6969, "is on NFS: its locks, and what it says of fsync, depend on the server"],
  [0xff534d42, "is on CIFS: its locks, and what it says of fsync, depend on the server"],
]);

/** All that there is to say of a directory. */
export async function checkStorage(directory: string): Promise<Finding[]> {
  const check = `storage ${directory}`;
  const place = await nearest(resolve(directory));
  const isThere = place === resolve(directory);
  try {
    await access(place, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    return [
      failed(
        check,
        reasonOf(error),
        `let user ${process.getuid?.() ?? ""} read and write ${place}`,
      ),
    ];
  }
  return [
    ...(isThere
      ? await contentOf(check, directory)
      : [ok(check, "it is not there yet; it will be made")]),
    await roomOf(check, place),
    await speedOf(check, place),
  ];
}

/** The directory, or the nearest above it that is there. */
async function nearest(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || dirname(path) === path ? path : await nearest(dirname(path));
}

async function contentOf(check: string, directory: string): Promise<Finding[]> {
  const { mode } = await stat(directory);
  const privacy =
    (mode & 0o004) === 0
      ? []
      : [warning(check, "everybody on this machine may read it", `chmod o-rwx ${directory}`)];
  return [...privacy, await wholeness(check, directory)];
}

async function wholeness(check: string, directory: string): Promise<Finding> {
  try {
    const { bytes, tornBytes, keyspace } = await readStoredState(directory);
    const says = `it is whole: ${shown(keyspace.nodes.count)} names in ${shown(bytes)} bytes`;
    if (tornBytes === 0) return ok(check, says);
    const torn = `${says}; a crash tore the last write, of ${shown(tornBytes)} bytes`;
    return warning(
      check,
      torn,
      "nothing: it is cut off when it is opened, and peers have the rest",
    );
  } catch (error) {
    if (error instanceof CorruptStorageError) {
      return failed(check, reasonOf(error), "trellis repair rebuilds it from peers");
    }
    if (!(error instanceof StorageError)) throw error;
    const isEmpty = error.message.includes("holds no replica");
    if (isEmpty) return ok(check, "it holds no replica yet");
    const says = `it was not read: ${reasonOf(error)}`;
    return warning(
      check,
      says,
      "that is right if a replica runs on it; stop that to have it checked",
    );
  }
}

async function roomOf(check: string, place: string): Promise<Finding> {
  const { bavail, bsize, type } = await statfs(place);
  const free = bavail * bsize;
  const says = `${shown(Math.floor(free / mebibyte))} MiB are free`;
  const remedy =
    "make room: a full disk costs durability, and a log may need 3 times the live state";
  if (free < freeFailed) return failed(check, says, remedy);
  if (free < freeWarned) return warning(check, says, remedy);
  const system = systems.get(type);
  return system === undefined
    ? ok(check, says)
    : warning(
        check,
        `${says}, and it ${system}`,
        "use a disk of this machine for what has to last",
      );
}

/** Small synchronised writes, as a journal makes them. The file is gone afterwards. */
async function speedOf(check: string, place: string): Promise<Finding> {
  const path = join(place, `.trellis-doctor-${process.pid}`);
  const took: number[] = [];
  try {
    await using file = await open(path, "wx");
    for (let i = 0; i < syncs; i++) {
      const beganMs = performance.now();
      await file.write(new Uint8Array(syncBytes));
      await file.datasync();
      took.push(performance.now() - beganMs);
    }
  } catch (error) {
    return failed(check, `a file cannot be written: ${reasonOf(error)}`, "look at the disk");
  } finally {
    await rm(path, { force: true });
  }
  took.sort((one, other) => one - other);
  const [middle = 0, longest = 0] = [took[Math.floor(syncs / 2)], took.at(-1)];
  const says = `fsync takes ${middle.toFixed(1)} ms, at most ${longest.toFixed(1)} ms in ${syncs}`;
  if (middle <= syncMsWarned) return ok(check, says);
  return warning(check, says, "what waits for durability waits that long: use a faster disk");
}
