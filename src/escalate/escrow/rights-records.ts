/**
 * The records of rights, in the store of their replica: one for each holder and counter, and one about the
 * directory. They stand beside those of the keyspace (`store/image.ts`), under a first byte of their own.
 */
import { CorruptStorageError } from "../../errors.ts";
import { ByteReader, ByteWriter, malformed, MalformedError } from "../../store/bytes.ts";
import { foreignKinds } from "../../store/image.ts";
import type { StorageEngine } from "../../store/storage.ts";
import { holderIdBytes, holderIdFromBytes, holderIdToBytes, type HolderId } from "./holder-id.ts";
import type { HoldingState, Kept, KeptAccount, Pending, Seen } from "./holding.ts";
import { type Side, sides } from "./pool.ts";

/** The form of both kinds of records; another one is refused. */
const format = 1;
/**
 * Of a holding with an increment that is set aside: who does not know those must not take it for a decrement.
 * Without one it is written in the first form, which versions before this one read, too.
 */
const formatWithSides = 2;
const directoryIdBytes = 16;
const nameBytesMax = 4_096;
const pendingMax = 65_536;
const kinds = { directory: 0, holding: 1 } as const;
const states: readonly HoldingState[] = ["open", "retired", "held"];

/** What a directory says of itself. */
export interface DirectoryRecord {
  /** Drawn when rights were first written to it. 16 bytes in hexadecimal digits. */
  readonly id: string;
  /** Of the last write of rights. */
  readonly serial: number;
}

/** A holding that was found on a disk. */
export interface FoundHolding {
  readonly holder: HolderId;
  readonly collection: string;
  readonly key: string;
  readonly kept: Kept;
}

/** Which holding. */
export type HoldingName = Omit<FoundHolding, "kept">;

export const directoryKey = (): Uint8Array => Uint8Array.of(foreignKinds.rights, kinds.directory);

/** O(length). */
export function holdingKey({ holder, collection, key }: HoldingName): Uint8Array {
  const out = new ByteWriter();
  out.byte(foreignKinds.rights);
  out.byte(kinds.holding);
  out.raw(holderIdToBytes(holder));
  out.text(collection);
  out.text(key);
  return out.take();
}

export function writeDirectory({ id, serial }: DirectoryRecord): Uint8Array {
  const out = new ByteWriter();
  out.byte(format);
  out.raw(Buffer.from(id, "hex"));
  out.varint(serial);
  return out.take();
}

export function writeKept({ state, seen, down, up, pending }: Kept): Uint8Array {
  const out = new ByteWriter();
  const hasSides = pending.some(({ side }) => side !== "down");
  out.byte(hasSides ? formatWithSides : format);
  out.byte(states.indexOf(state));
  out.byte(seen ? 1 : 0);
  if (seen) {
    out.text(seen.birth);
    out.text(seen.lineage);
    out.varint(seen.revision);
  }
  for (const { granted, returned, created, spent, reserved } of [down, up]) {
    out.varint(granted);
    out.varint(returned);
    out.varint(created);
    out.varint(spent);
    out.varint(reserved);
  }
  out.varint(pending.length);
  for (const { operation, hash, side, by, windowMs } of pending) {
    out.text(operation);
    out.text(hash);
    out.varint(by);
    out.varint(windowMs);
    if (hasSides) out.byte(sides.indexOf(side));
  }
  return out.take();
}

/** What a disk has of rights. */
export interface KeptRights {
  readonly directory: DirectoryRecord | undefined;
  readonly holdings: readonly FoundHolding[];
}

/** Reads all of it. O(records). @throws CorruptStorageError */
export async function readRights(engine: StorageEngine): Promise<KeptRights> {
  let directory: DirectoryRecord | undefined;
  const holdings: FoundHolding[] = [];
  const [from, to] = [Uint8Array.of(foreignKinds.rights), Uint8Array.of(foreignKinds.rights + 1)];
  try {
    for await (const page of engine.read(from, to)) {
      for (const { key, value } of page) {
        if (key[1] === kinds.directory) directory = readDirectory(value);
        else holdings.push({ ...readName(key), kept: readKept(value) });
      }
    }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CorruptStorageError(`${engine.location}: a record of rights: ${error.message}`, {
      path: engine.location,
      cause: error,
    });
  }
  return { directory, holdings };
}

function readDirectory(value: Uint8Array): DirectoryRecord {
  const from = new ByteReader(value);
  checkFormat(from);
  const id = Buffer.from(from.raw(directoryIdBytes)).toString("hex");
  const record = { id, serial: from.varint() };
  from.end();
  return record;
}

function readName(key: Uint8Array): HoldingName {
  const from = new ByteReader(key.subarray(1));
  from.bounded(kinds.holding, "the kind of a record");
  const holder = holderIdFromBytes(from.raw(holderIdBytes));
  const name = { holder, collection: from.text(nameBytesMax), key: from.text(nameBytesMax) };
  from.end();
  return name;
}

function readKept(value: Uint8Array): Kept {
  const from = new ByteReader(value);
  const hasSides = checkFormat(from, formatWithSides) === formatWithSides;
  const state = states[from.bounded(states.length - 1, "a state")] ?? "held";
  const seen = from.bounded(1, "whether the pool was seen") === 1 ? readSeen(from) : undefined;
  const down = readAccount(from);
  const up = readAccount(from);
  const pending: Pending[] = [];
  for (let left = from.bounded(pendingMax, "pending changes"); left > 0; left--) {
    pending.push({
      ...{ operation: from.text(nameBytesMax), hash: from.text(nameBytesMax) },
      ...{ by: from.varint(), windowMs: from.varint() },
      side: hasSides ? readSide(from) : "down",
    });
  }
  from.end();
  return { state, seen, down, up, pending };
}

const readSide = (from: ByteReader): Side =>
  sides[from.bounded(sides.length - 1, "a side")] ?? "down";

const readSeen = (from: ByteReader): Seen => ({
  birth: from.text(nameBytesMax),
  lineage: from.text(nameBytesMax),
  revision: from.varint(),
});

const readAccount = (from: ByteReader): KeptAccount => ({
  granted: from.varint(),
  returned: from.varint(),
  created: from.varint(),
  spent: from.varint(),
  reserved: from.varint(),
});

function checkFormat(from: ByteReader, newest = format): number {
  const found = from.byte();
  if (found < format || found > newest) {
    const known = newest === format ? `${format} is` : `${format} to ${newest} are`;
    malformed(`its format is ${found}; ${known} known here`);
  }
  return found;
}
