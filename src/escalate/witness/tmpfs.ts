/**
 * A witness in the memory of a Linux machine: one small file a state, in a folder of the user's own in
 * `/dev/shm`, which is gone when the machine starts anew, and which no copy of a directory takes along.
 *
 *   trellis-<user>/<id>.<turn>      the highest turn counts
 *
 * Who takes a state makes the file of the next turn, which only one can. A file says which process has it:
 * its number, when that began, and in which space of process numbers (a container's) it is. A process of
 * another space cannot be looked up; but if its directory is the very one that is open here, under a lock
 * that one process has, it is gone.
 */
import { randomUUID } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import {
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  statfs,
  unlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { noWitness, type Stand, type Testimony, type Witness } from "../witness.ts";

/** Where it is. */
export interface TmpfsWitnessOptions {
  /** The directory of the state, which is open here, under its lock. */
  readonly directory: string;
  /** A folder in memory. Default `/dev/shm`. */
  readonly memory?: string;
  /** The process that has it open. Default: this one. */
  readonly pid?: number;
  /** Files of this user, a page of memory each; beyond that a quarter goes, of those in use by nobody. Default 4,096. */
  readonly filesMax?: number;
}

const tmpfsType = 0x01021994;
const format = 1;
const recordBytes = 512;
const idPattern = /^[0-9a-z-]{1,64}$/u;

/** Who has a state. */
interface Owner {
  readonly boot: string;
  /** The space of process numbers. */
  readonly space: string;
  readonly pid: number;
  /** When the process began, as the kernel counts. */
  readonly began: string;
  /** The directory, as the kernel knows it. */
  readonly place: string;
}

interface Record extends Owner {
  readonly serial: number;
  readonly isOpen: boolean;
}

/** A witness for the state in one directory. It is `noWitness` where there is no such memory. */
export async function tmpfsWitness(options: TmpfsWitnessOptions): Promise<Witness> {
  const { directory, memory = "/dev/shm", pid = process.pid, filesMax = 4_096 } = options;
  try {
    const { type } = await statfs(memory);
    if (type !== tmpfsType) return noWitness(`${memory} is not in memory`);
    const owner = await ownerOf(directory, pid);
    return new TmpfsWitness(await folderIn(memory), owner, filesMax);
  } catch (error) {
    return noWitness(`there is no ${memory} to ask: ${messageOf(error)}`);
  }
}

class TmpfsWitness implements Witness {
  readonly #folder: string;
  readonly #owner: Owner;
  readonly #filesMax: number;

  constructor(folder: string, owner: Owner, filesMax: number) {
    this.#folder = folder;
    this.#owner = owner;
    this.#filesMax = filesMax;
  }

  async recall(id: string): Promise<Testimony> {
    checkId(id);
    const turn = Math.max(0, ...(await this.#turns(id)));
    if (turn === 0) return { kind: "absent", turn, why: "this machine has not seen it run" };
    const record = parse(await readFile(this.#path(id, turn), "utf8"));
    if (!record) return { kind: "absent", turn, why: `${this.#path(id, turn)} is damaged` };
    if (record.boot !== this.#owner.boot) {
      return { kind: "absent", turn, why: "this machine was started anew since" };
    }
    const by = await holderOf(record, this.#owner);
    return by === undefined
      ? { kind: "left", turn, serial: record.serial }
      : { kind: "in-use", by };
  }

  async take(id: string, turn: number, serial: number): Promise<Stand | undefined> {
    checkId(id);
    const record = { ...this.#owner, serial, isOpen: true };
    const path = this.#path(id, turn + 1);
    const draft = join(this.#folder, `.draft-${randomUUID()}`);
    await writeFile(draft, written(record), { mode: 0o600 });
    try {
      await link(draft, path);
    } catch (error) {
      if (codeOf(error) === "EEXIST") return undefined;
      throw error;
    } finally {
      await unlink(draft);
    }
    const stand = new TmpfsStand(path, record);
    for (const earlier of await this.#turns(id)) {
      if (earlier <= turn) await unlink(this.#path(id, earlier)).catch(ignoreGone);
    }
    await this.#prune();
    return stand;
  }

  async #turns(id: string): Promise<number[]> {
    const names = await readdir(this.#folder);
    return names
      .filter((name) => name.startsWith(`${id}.`))
      .map((name) => Number(name.slice(id.length + 1)))
      .filter((turn) => Number.isSafeInteger(turn) && turn > 0);
  }

  /**
   * Closed states first, the oldest first: to forget those means only not to notice that they were set back. One
   * that was not closed is not believed any more then, as after a start of the machine.
   */
  async #prune(): Promise<void> {
    const names = await readdir(this.#folder);
    if (names.length <= this.#filesMax) return;
    const unused: { readonly path: string; readonly rank: number }[] = [];
    for (const name of names) {
      const path = join(this.#folder, name);
      const record = parse(await readFile(path, "utf8").catch(() => ""));
      if (!record || (await holderOf(record, this.#owner)) !== undefined) continue;
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }));
      unused.push({ path, rank: record.isOpen ? mtimeMs : mtimeMs - Number.MAX_SAFE_INTEGER });
    }
    unused.sort((left, right) => left.rank - right.rank);
    for (const { path } of unused.slice(0, this.#filesMax / 4))
      await unlink(path).catch(ignoreGone);
  }

  #path(id: string, turn: number): string {
    return join(this.#folder, `${id}.${turn}`);
  }
}

class TmpfsStand implements Stand {
  readonly #file: number;
  #record: Record;

  constructor(path: string, record: Record) {
    this.#file = openSync(path, "r+");
    this.#record = record;
  }

  mark(serial: number): void {
    this.#put({ ...this.#record, serial });
  }

  leave(): void {
    if (!this.#record.isOpen) return;
    this.#put({ ...this.#record, isOpen: false });
    closeSync(this.#file);
  }

  /** One page of memory in one call: a process that is killed leaves the one or the other. */
  #put(record: Record): void {
    if (!this.#record.isOpen) throw new Error("the witness was left");
    const length = writeSync(this.#file, written(record), 0);
    if (length !== recordBytes) throw new Error(`the witness took ${length} bytes`);
    this.#record = record;
  }
}

/** By whom it may still be used; `undefined`: by nobody. */
async function holderOf(record: Record, self: Owner): Promise<string | undefined> {
  const { isOpen, pid, began, space, place } = record;
  if (!isOpen || place === self.place) return undefined;
  if (space !== self.space) {
    return `process ${pid} of another container (${space}), of which this one cannot see whether it runs`;
  }
  return (await beganOf(pid)) === began ? `process ${pid}` : undefined;
}

/** When a process began; `undefined`: it is gone. */
async function beganOf(pid: number): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ESRCH") return undefined;
    throw error;
  }
  // The name, in parentheses, may have anything in it. What follows is the state, and then numbers.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
}

async function ownerOf(directory: string, pid: number): Promise<Owner> {
  const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  const space = await readlink("/proc/self/ns/pid");
  const began = await beganOf(pid);
  if (began === undefined) throw new Error(`process ${pid} is not in /proc`);
  const { dev, ino } = await stat(directory, { bigint: true });
  return { boot, space, pid, began, place: `${dev}:${ino}` };
}

/** The user's own folder; one that somebody else made is not believed. */
async function folderIn(memory: string): Promise<string> {
  const user = process.getuid?.() ?? 0;
  const folder = join(memory, `trellis-${user}`);
  await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
    if (codeOf(error) !== "EEXIST") throw error;
  });
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === user && (found.mode & 0o022) === 0) return folder;
  throw new Error(`${folder} is somebody else's`);
}

/** Of the same length whatever it says. */
function written(record: Record): string {
  const text = JSON.stringify({ format, ...record });
  return `${`${checksum(text)} ${text}`.padEnd(recordBytes - 1)}\n`;
}

function parse(bytes: string): Record | undefined {
  const text = bytes.slice(9).trimEnd();
  if (bytes.length !== recordBytes || bytes.slice(0, 8) !== checksum(text)) return undefined;
  const record = JSON.parse(text) as Record & { readonly format: number };
  return record.format === format ? record : undefined;
}

/** FNV-1a: against accidents. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function checkId(id: string): void {
  if (!idPattern.test(id)) throw new Error(`a state of the name ${JSON.stringify(id)}`);
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && "code" in error ? error.code : undefined;

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

function ignoreGone(error: unknown): void {
  if (codeOf(error) !== "ENOENT") throw error;
}
