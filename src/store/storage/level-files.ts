/**
 * The files of a LevelDB directory: which of them count, and whether their checksums are right.
 * classic-level cannot be told to verify checksums, neither on reading nor when it merges tables, so
 * all of them are verified before LevelDB opens the directory.
 * @see https://github.com/google/leveldb/blob/main/doc/table_format.md
 */
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { CorruptStorageError } from "../../errors.ts";
import { checksum, masked, uint32At } from "./level-checksum.ts";
import { type LogFile, readLog } from "./level-log.ts";

/** Says that a file in `records`, the folder of a store, is not as LevelDB wrote it, and what to do. */
export function damaged(records: string, name: string, reason: string): CorruptStorageError {
  const path = join(records, name);
  const remedy = `\`trellis repair ${dirname(records)}\` rebuilds the replica from its peers`;
  return new CorruptStorageError(`${path} ${reason}. Nothing was loaded. ${remedy}`, { path });
}

/** The files that make up a store. */
export interface LiveFiles {
  /** The name of the file that lists the tables. */
  readonly manifest: string;
  /** Names of the sorted tables. */
  readonly tables: readonly string[];
  /** The logs that are not in the tables yet, the oldest first. */
  readonly logs: readonly LogFile[];
}

const current = "CURRENT";
const footerBytes = 48;
const blockTrailerBytes = 5;
/** The last eight bytes of a table, as two words. */
const magicLow = 0x8b80fb57;
const magicHigh = 0xdb477524;

/**
 * Reads what a directory holds; undefined when it holds no store.
 * @throws CorruptStorageError when a file is missing, or the list of files cannot be read.
 */
export async function liveFiles(directory: string): Promise<LiveFiles | undefined> {
  const names = new Set(await readdir(directory));
  if (!names.has(current)) {
    // LevelDB would begin a new store here and delete these as left over.
    const orphan = [...names].find((name) => /^\d+\.(?:ldb|sst)$/u.test(name));
    if (orphan === undefined) return undefined;
    throw damaged(directory, current, `is missing, although there is ${orphan}`);
  }
  const text = await readFile(join(directory, current), "latin1");
  const manifest = text.trimEnd();
  if (!/^MANIFEST-\d+\n$/u.test(text) || !names.has(manifest)) {
    throw damaged(directory, current, "does not name a file that exists");
  }
  const versions = await readManifest(directory, manifest);
  const tables = [...versions.tables].map((number) => tableName(directory, names, number));
  const logs: LogFile[] = [];
  for (const number of logNumbers(names, versions)) {
    const name = `${padded(number)}.log`;
    logs.push({ name, bytes: await readFile(join(directory, name)) });
  }
  if (versions.log > 0 && !names.has(`${padded(versions.log)}.log`)) {
    throw damaged(directory, `${padded(versions.log)}.log`, "is missing");
  }
  return { manifest, tables, logs };
}

/**
 * Verifies every block of every table, one file in memory at a time (2 MiB and a little, unless a
 * value is larger).
 * @throws CorruptStorageError
 */
export async function verifyTables(directory: string, tables: readonly string[]): Promise<void> {
  for (const name of tables) {
    const reason = flawOf(await readFile(join(directory, name)));
    if (reason !== undefined) throw damaged(directory, name, reason);
  }
}

/** What is wrong with a table; undefined when nothing is. */
function flawOf(bytes: Uint8Array): string | undefined {
  const footer = bytes.length - footerBytes;
  const isTable =
    footer >= 0 &&
    uint32At(bytes, bytes.length - 8) === magicLow &&
    uint32At(bytes, bytes.length - 4) === magicHigh;
  if (!isTable) return "does not end as a table does";
  let covered = footerBytes;
  const open = (handle: Handle): Uint8Array => {
    const block = blockAt(bytes, handle);
    covered += block.length + blockTrailerBytes;
    return block;
  };
  return flawIn(() => {
    const cursor = new Cursor(bytes, footer);
    const filters = open(cursor.handle());
    const index = open(cursor.handle());
    for (const block of [filters, index]) for (const handle of handlesIn(block)) open(handle);
    if (covered !== bytes.length) throw new RangeError("has bytes that belong to nothing");
  });
}

/** What a reading, which throws a RangeError where the bytes cannot be right, finds wrong. */
function flawIn(reading: () => void): string | undefined {
  try {
    reading();
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

function blockAt(bytes: Uint8Array, { offset, size }: Handle): Uint8Array {
  const end = offset + size;
  if (end + blockTrailerBytes > bytes.length)
    throw new RangeError("refers to a block outside of it");
  if (masked(checksum(bytes, offset, end + 1)) !== uint32At(bytes, end + 1)) {
    throw new RangeError(`has a wrong checksum in the block at byte ${offset}`);
  }
  if (bytes[end] !== 0)
    throw new RangeError("holds compressed blocks, which Trellis does not write");
  return bytes.subarray(offset, end);
}

/** The values of a block that lists blocks. */
function handlesIn(block: Uint8Array): Handle[] {
  const handles: Handle[] = [];
  const restarts = uint32At(block, block.length - 4);
  const end = block.length - 4 - 4 * restarts;
  const cursor = new Cursor(block, 0);
  while (cursor.at < end) {
    cursor.number(); // What its key has in common with the one before.
    const keyBytes = cursor.number();
    const valueBytes = cursor.number();
    cursor.at += keyBytes;
    const next = cursor.at + valueBytes;
    handles.push(cursor.handle());
    cursor.at = next;
  }
  return handles;
}

interface Versions {
  /** Logs from this number on count, and `previousLog`. 0 when none was said. */
  log: number;
  previousLog: number;
  readonly tables: Set<number>;
}

async function readManifest(directory: string, name: string): Promise<Versions> {
  const versions: Versions = { log: 0, previousLog: 0, tables: new Set() };
  let flawAt: number | undefined;
  for (const item of readLog(await readFile(join(directory, name)))) {
    // A change at the end that a crash tore did not happen; one in the middle did.
    if (item.kind === "damage") flawAt ??= item.from;
    else if (flawAt !== undefined) {
      throw damaged(directory, name, `has a wrong checksum at byte ${flawAt}`);
    } else {
      const reason = flawIn(() => applyEdit(item.content, versions));
      if (reason !== undefined) throw damaged(directory, name, reason);
    }
  }
  return versions;
}

/** One change of the list of files. The tags and their contents are LevelDB's. */
function applyEdit(content: Uint8Array, versions: Versions): void {
  const cursor = new Cursor(content, 0);
  while (cursor.at < content.length) {
    const tag = cursor.number();
    if (tag === 1) cursor.skip();
    else if (tag === 2) versions.log = cursor.number();
    else if (tag === 3 || tag === 4) cursor.number();
    else if (tag === 5) {
      cursor.number();
      cursor.skip();
    } else if (tag === 6) {
      cursor.number();
      versions.tables.delete(cursor.number());
    } else if (tag === 7) {
      cursor.number();
      versions.tables.add(cursor.number());
      cursor.number();
      cursor.skip();
      cursor.skip();
    } else if (tag === 9) versions.previousLog = cursor.number();
    else throw new RangeError(`holds an entry of the unknown kind ${tag}`);
  }
}

function tableName(directory: string, names: ReadonlySet<string>, number: number): string {
  const candidates = [`${padded(number)}.ldb`, `${padded(number)}.sst`];
  const name = candidates.find((candidate) => names.has(candidate));
  if (name === undefined) {
    throw damaged(directory, `${padded(number)}.ldb`, "is missing");
  }
  return name;
}

const logNumbers = (names: ReadonlySet<string>, { log, previousLog }: Versions): number[] =>
  [...names]
    .filter((name) => /^\d+\.log$/u.test(name))
    .map((name) => Number.parseInt(name, 10))
    .filter((number) => number >= log || number === previousLog)
    .sort((left, right) => left - right);

const padded = (number: number): string => String(number).padStart(6, "0");

/** Reads numbers of seven bits a byte, the lowest first. */
class Cursor {
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale < 2 ** 63; scale *= 128) {
      const byte = this.#bytes[this.at++];
      if (byte === undefined) throw new RangeError("ends within a number");
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError("holds a number that is too long");
  }

  handle(): Handle {
    return { offset: this.number(), size: this.number() };
  }

  /** Passes over bytes that are preceded by their number. */
  skip(): void {
    const length = this.number();
    this.at += length;
  }
}
