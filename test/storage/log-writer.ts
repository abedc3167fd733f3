/** Writes batches as LevelDB writes them into its logs: what `level-log.ts` reads, from the other side. */
import { checksum, masked } from "../../src/store/storage/level-checksum.ts";
import { encodeMarker, type Marker, markerKey } from "../../src/store/storage/level-log.ts";

const blockBytes = 32 * 1024;
const headerBytes = 7;

/** A change: a deletion when it has no value. */
export type Change = readonly [name: string, value: Uint8Array | undefined];

/** One record: the marker, then the changes. */
export function encodeBatch(marker: Marker, changes: readonly Change[]): Uint8Array {
  const header = Buffer.alloc(12);
  header.writeUIntLE(marker.batch, 0, 6);
  header.writeUInt32LE(changes.length + 1, 8);
  const parts: Uint8Array[] = [header, ...change(markerKey, encodeMarker(marker))];
  for (const [name, value] of changes) parts.push(...change(Buffer.from(name, "latin1"), value));
  return Buffer.concat(parts);
}

/** The changes in a record, without the marker. */
export function decodeBatch(content: Uint8Array): Change[] {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const changes: Change[] = [];
  let at = 12;
  const take = (): Buffer => {
    let length = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes.readUInt8(at++);
      length += (byte & 127) * scale;
      if (byte < 128) break;
    }
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const isPut = bytes.readUInt8(at++) === 1;
    const key = take();
    const value = isPut ? Uint8Array.from(take()) : undefined;
    if (key.length > 0) changes.push([key.toString("latin1"), value]);
  }
  return changes;
}

/** A record in fragments, as it goes to the end of a log of `length` bytes. */
export function fragmentsOf(content: Uint8Array, length: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let end = length;
  let from = 0;
  do {
    let room = blockBytes - (end % blockBytes);
    if (room < headerBytes) {
      parts.push(new Uint8Array(room));
      end += room;
      room = blockBytes;
    }
    const piece = content.subarray(from, from + room - headerBytes);
    const isLast = from + piece.length === content.length;
    const part = from === 0 ? (isLast ? 1 : 2) : isLast ? 4 : 3;
    const fragment = Buffer.alloc(headerBytes + piece.length);
    fragment.writeUInt16LE(piece.length, 4);
    fragment.writeUInt8(part, 6);
    fragment.set(piece, headerBytes);
    fragment.writeUInt32LE(masked(checksum(fragment, 6, fragment.length)), 0);
    parts.push(fragment);
    end += fragment.length;
    from += piece.length;
  } while (from < content.length);
  return Buffer.concat(parts);
}

const change = (key: Uint8Array, value: Uint8Array | undefined): Uint8Array[] =>
  value
    ? [Uint8Array.of(1), lengthOf(key), key, lengthOf(value), value]
    : [Uint8Array.of(0), lengthOf(key), key];

function lengthOf({ length }: Uint8Array): Uint8Array {
  const bytes: number[] = [];
  let rest = length;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  return Uint8Array.of(...bytes, rest);
}
