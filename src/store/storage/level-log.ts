/**
 * What is left of LevelDB's write-ahead logs after a crash? LevelDB itself skips what it cannot read,
 * in the middle too, and goes on without a word. So the adapter reads the logs before LevelDB does.
 *
 * A log is a row of 32 KiB blocks of fragments, each with a masked CRC-32C, its length and its part
 * in a record (whole, first, middle, last). A record is one batch. Every batch of ours starts with
 * the marker: its number, and the number of the last batch that was known to be on the disk when it
 * was written. That tells a torn tail from damage: if a later batch knows that a missing one was on
 * the disk, the disk has lost it; otherwise nobody was promised what is missing, and it is cut
 * together with all that follows, so that what remains is a prefix.
 * @see https://github.com/google/leveldb/blob/main/doc/log_format.md
 */
import { checksum, masked, uint32At } from "./level-checksum.ts";

const blockBytes = 32 * 1024;
const headerBytes = 7;
/** Of a batch in a record: its sequence number (8) and the number of its changes (4). */
const batchHeaderBytes = 12;
const markerValueBytes = 12;
const putTag = 1;

/** Of a fragment: that it is a whole record, or the first or last of its pieces; 3 is one between. */
const whole = 1;
const first = 2;
const last = 4;

/** The first record of every batch: its number, and the last one known to be on the disk. */
export interface Marker {
  readonly batch: number;
  readonly synced: number;
}

/** The key of the marker. No other record has the empty key. */
export const markerKey: Uint8Array = new Uint8Array(0);

/** A marker as a value. */
export function encodeMarker({ batch, synced }: Marker): Uint8Array {
  const bytes = Buffer.alloc(markerValueBytes);
  bytes.writeUIntLE(batch, 0, 6);
  bytes.writeUIntLE(synced, 6, 6);
  return bytes;
}

/** A marker from its value; undefined when it is none. */
export function decodeMarker(value: Uint8Array): Marker | undefined {
  if (value.length !== markerValueBytes) return undefined;
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  return { batch: bytes.readUIntLE(0, 6), synced: bytes.readUIntLE(6, 6) };
}

/** A record of a log that is whole, or the place from where on something is not. */
export type LogItem =
  | { readonly kind: "record"; readonly from: number; readonly content: Uint8Array }
  | { readonly kind: "damage"; readonly from: number };

/**
 * The records of a log. After damage it goes on with whatever is a fragment next. LevelDB would skip the
 * block; but what follows there may say that the damaged one was on the disk.
 */
export function* readLog(bytes: Uint8Array): Generator<LogItem> {
  let pieces: Uint8Array[] = [];
  let started: number | undefined;
  let isLost = false;
  let at = 0;
  while (at < bytes.length) {
    const room = blockBytes - (at % blockBytes);
    const fragment = room < headerBytes ? undefined : readFragment(bytes, at, room);
    if (room < headerBytes) {
      at += room;
      continue;
    }
    const isStart = fragment?.part === whole || fragment?.part === first;
    const fits = fragment !== undefined && isStart === (started === undefined);
    if (!fits && !(isLost && fragment !== undefined && !isStart)) {
      yield { kind: "damage", from: started ?? at };
      isLost = true;
      started = undefined;
    }
    if (fragment === undefined) {
      at = afterDamage(bytes, at, room);
      continue;
    }
    if (isStart) {
      started = at;
      pieces = [];
      isLost = false;
    }
    at += headerBytes + fragment.content.length;
    if (started === undefined) continue;
    pieces.push(fragment.content);
    if (fragment.part === whole || fragment.part === last) {
      yield { kind: "record", from: started, content: joined(pieces) };
      started = undefined;
    }
  }
  if (started !== undefined) yield { kind: "damage", from: started };
}

interface Fragment {
  readonly part: number;
  readonly content: Uint8Array;
}

function readFragment(bytes: Uint8Array, at: number, room: number): Fragment | undefined {
  if (at + headerBytes > bytes.length) return undefined;
  const length = (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8);
  const part = bytes[at + 6] as number;
  const end = at + headerBytes + length;
  if (length + headerBytes > room || end > bytes.length) return undefined;
  if (part < whole || part > last) return undefined;
  if (masked(checksum(bytes, at + 6, end)) !== uint32At(bytes, at)) return undefined;
  return { part, content: bytes.subarray(at + headerBytes, end) };
}

/** The next fragment of the block, or the next block: a damaged length says nothing. */
function afterDamage(bytes: Uint8Array, at: number, room: number): number {
  for (let skipped = 1; skipped + headerBytes <= room; skipped++) {
    if (readFragment(bytes, at + skipped, room - skipped)) return at + skipped;
  }
  return at + room;
}

const joined = (pieces: readonly Uint8Array[]): Uint8Array =>
  pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);

/** One log, the older ones first where there are several. */
export interface LogFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What the logs hold. */
export interface LogFindings {
  /** How many bytes of each log are to stay, in the order of the logs. */
  readonly keep: readonly number[];
  /** The number of the last batch that stays; undefined when there is none. */
  readonly last: number | undefined;
  /** Bytes after that. */
  readonly tornBytes: number;
  /** What the disk has lost although it had it. Nothing is to be cut then. */
  readonly damage: { readonly name: string; readonly offset: number } | undefined;
}

/**
 * Finds where the unbroken row of batches ends. With `upTo`, batches of a higher number are cut too:
 * they were refused. Linear in the bytes.
 */
export function examineLogs(
  logs: readonly LogFile[],
  upTo: number = Number.POSITIVE_INFINITY,
): LogFindings {
  const keep = logs.map(({ bytes }) => bytes.length);
  let end: { readonly log: number; readonly offset: number } | undefined;
  let lastBatch: number | undefined;
  let isDamaged = false;
  /** Something is cut that was not refused. */
  let isMissing = false;
  for (const [log, { bytes }] of logs.entries()) {
    for (const item of readLog(bytes)) {
      const marker = markerIn(item);
      if (end) {
        isDamaged ||= isMissing && saysLost(marker, lastBatch);
        continue;
      }
      const follows = lastBatch === undefined || marker?.batch === lastBatch + 1;
      if (marker && follows && marker.batch <= upTo) lastBatch = marker.batch;
      else {
        end = { log, offset: item.from };
        isMissing = (lastBatch ?? 0) < upTo;
        isDamaged = isMissing && lastBatch !== undefined && saysLost(marker, lastBatch);
      }
    }
  }
  if (!end) return { keep, last: lastBatch, tornBytes: 0, damage: undefined };
  keep.fill(0, end.log + 1);
  keep[end.log] = end.offset;
  const all = logs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const kept = keep.reduce((sum, length) => sum + length, 0);
  const { name } = logs[end.log] as LogFile;
  return {
    keep,
    last: lastBatch,
    tornBytes: all - kept,
    damage: isDamaged ? { name, offset: end.offset } : undefined,
  };
}

/** Whether a later batch says that one which is missing after `kept` had reached the disk. */
function saysLost(marker: Marker | undefined, kept: number | undefined): boolean {
  if (marker === undefined) return false;
  // The one right before it is missing; when nothing is known of the others, only that.
  const missing = kept === undefined ? marker.batch - 1 : kept + 1;
  return marker.synced >= missing;
}

function markerIn(item: LogItem): Marker | undefined {
  if (item.kind === "damage") return undefined;
  const { content } = item;
  const at = batchHeaderBytes;
  const isMarker =
    content[at] === putTag && content[at + 1] === 0 && content[at + 2] === markerValueBytes;
  return isMarker ? decodeMarker(content.subarray(at + 3, at + 3 + markerValueBytes)) : undefined;
}
