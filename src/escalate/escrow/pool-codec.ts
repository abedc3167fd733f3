/** The bytes of a pool record. Its first byte is the version of this form; another one is refused. */
import { LockUnavailableError } from "../../errors.ts";
import { ByteReader, ByteWriter, malformed, MalformedError } from "../../store/bytes.ts";
import { holderIdBytes, holderIdFromBytes, holderIdToBytes } from "./holder-id.ts";
import {
  entriesMax,
  type Figures,
  type Pool,
  type PoolBounds,
  type PoolEntry,
  type Share,
  type Side,
} from "./pool.ts";

const format = 1;
const birthBytesMax = 256;
const nameBytesMax = 256;
const lineageBytes = 8;
const closedBound = 65_536;

const sidesOf = ({ max }: PoolBounds): readonly Side[] =>
  max === undefined ? ["down"] : ["down", "up"];

/** O(holders). */
export function encodePool(pool: Pool): Uint8Array {
  const { birth, lineage, bounds, revision, folded, closed, horizonMs, entries } = pool;
  const out = new ByteWriter();
  out.byte(format);
  out.text(birth);
  out.raw(Buffer.from(lineage, "hex"));
  out.varint(revision);
  out.byte(bounds.max === undefined ? 0 : 1);
  out.double(bounds.min);
  out.double(bounds.initial);
  if (bounds.max !== undefined) out.double(bounds.max);
  for (const side of sidesOf(bounds)) writeFigures(out, folded[side]);
  out.varint(horizonMs);
  out.varint(closed.size);
  for (const id of closed) out.raw(holderIdToBytes(id));
  out.varint(entries.size);
  for (const entry of entries.values()) {
    out.raw(holderIdToBytes(entry.id));
    out.text(entry.name);
    out.byte(entry.isClosed ? 1 : 0);
    out.varint(entry.seenMs);
    for (const side of sidesOf(bounds)) {
      writeFigures(out, entry[side]);
      out.varint(entry[side].wants);
      out.varint(entry[side].pace);
    }
  }
  return out.take();
}

/**
 * O(holders).
 * @throws LockUnavailableError for what is no such record.
 */
export function decodePool(bytes: Uint8Array, resource: string): Pool {
  try {
    return read(new ByteReader(bytes));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new LockUnavailableError(`${resource} is no pool of rights: ${error.message}`, {
      resource,
      cause: error,
    });
  }
}

function read(from: ByteReader): Pool {
  const found = from.byte();
  if (found !== format) malformed(`its format is ${found}; ${format} is known here`);
  const birth = from.text(birthBytesMax);
  const lineage = Buffer.from(from.raw(lineageBytes)).toString("hex");
  const revision = from.varint();
  const hasMax = from.bounded(1, "whether there is an upper bound") === 1;
  const [min, initial] = [from.double(), from.double()];
  const bounds = { min, initial, max: hasMax ? from.double() : undefined };
  const down = readFigures(from);
  const up = hasMax ? readFigures(from) : none();
  const horizonMs = from.varint();
  const closed = new Set<string>();
  for (let left = from.bounded(closedBound, "the number of closed holders"); left > 0; left--) {
    closed.add(holderIdFromBytes(from.raw(holderIdBytes)));
  }
  const entries = new Map<string, PoolEntry>();
  for (let left = from.bounded(entriesMax, "the number of holders"); left > 0; left--) {
    const entry = readEntry(from, hasMax);
    entries.set(entry.id, entry);
  }
  from.end();
  return { birth, lineage, revision, bounds, folded: { down, up }, horizonMs, closed, entries };
}

function readEntry(from: ByteReader, hasMax: boolean): PoolEntry {
  const id = holderIdFromBytes(from.raw(holderIdBytes));
  const name = from.text(nameBytesMax);
  const isClosed = from.bounded(1, "whether a holder is closed") === 1;
  const seenMs = from.varint();
  const down = readShare(from);
  return {
    id,
    name,
    isClosed,
    seenMs,
    down,
    up: hasMax ? readShare(from) : { ...none(), wants: 0, pace: 0 },
  };
}

function writeFigures(out: ByteWriter, { granted, returned, created, spent }: Figures): void {
  out.varint(granted);
  out.varint(returned);
  out.varint(created);
  out.varint(spent);
}

const readFigures = (from: ByteReader): Figures => ({
  granted: from.varint(),
  returned: from.varint(),
  created: from.varint(),
  spent: from.varint(),
});

const readShare = (from: ByteReader): Share => ({
  ...readFigures(from),
  wants: from.varint(),
  pace: from.varint(),
});

const none = (): Figures => ({ granted: 0, returned: 0, created: 0, spent: 0 });
