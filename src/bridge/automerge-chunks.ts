/**
 * What Automerge writes is made of chunks, one after the other: a document, a change, a compressed change or a bundle
 * of changes, each with its length.
 *
 * @see https://automerge.org/automerge-binary-format-spec/#_chunks
 */

const magic = [0x85, 0x6f, 0x4a, 0x83] as const;
/** Magic bytes and checksum. */
const preambleBytes = 8;
const kindMax = 3;
/** Chunks of one update; a document that lives here has some thousand of them at most. */
const chunksMax = 100_000;

/** The chunks that these bytes are, not looked into; undefined if they are none. O(chunks). */
export function chunksOf(bytes: Uint8Array): Uint8Array[] | undefined {
  const chunks: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    const end = endOf(bytes, at);
    if (end === undefined || chunks.length === chunksMax) return undefined;
    chunks.push(bytes.subarray(at, end));
    at = end;
  }
  return chunks.length === 0 ? undefined : chunks;
}

function endOf(bytes: Uint8Array, from: number): number | undefined {
  if (magic.some((byte, at) => bytes[from + at] !== byte)) return undefined;
  let at = from + preambleBytes;
  const kind = bytes[at++];
  if (kind === undefined || kind > kindMax) return undefined;
  let length = 0;
  // Seven bits a byte, the lowest first; four bytes are more than a message may have.
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at++];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return at + length <= bytes.length ? at + length : undefined;
  }
  return undefined;
}
