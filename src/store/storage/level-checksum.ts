/**
 * CRC-32C (Castagnoli), the checksum of LevelDB's files and of each value that the adapter keeps in
 * them. Eight bytes a step: about 0.4 GB/s, and cheaper than a call into zlib for short records.
 */

const polynomial = 0x82f63b78;
const tables = buildTables();

/** The checksum of a part of `bytes`, going on from `before`, as an unsigned 32-bit integer. */
export function checksum(bytes: Uint8Array, from: number, to: number, before = 0): number {
  let crc = ~before;
  let at = from;
  for (const last = to - 8; at <= last; at += 8) {
    crc ^= wordAt(bytes, at);
    const high = wordAt(bytes, at + 4);
    crc =
      (tables[1792 + (crc & 255)] as number) ^
      (tables[1536 + ((crc >>> 8) & 255)] as number) ^
      (tables[1280 + ((crc >>> 16) & 255)] as number) ^
      (tables[1024 + (crc >>> 24)] as number) ^
      (tables[768 + (high & 255)] as number) ^
      (tables[512 + ((high >>> 8) & 255)] as number) ^
      (tables[256 + ((high >>> 16) & 255)] as number) ^
      (tables[high >>> 24] as number);
  }
  for (; at < to; at++) crc = (tables[(crc ^ (bytes[at] as number)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** A checksum in the form in which LevelDB stores it: rotated and moved by a constant. */
export const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** Four bytes, little-endian, as an unsigned integer. */
export const uint32At = (bytes: Uint8Array, at: number): number => wordAt(bytes, at) >>> 0;

function wordAt(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** `tables[256 * k + b]` is the effect of byte b with k more bytes behind it. */
function buildTables(): Int32Array {
  const built = new Int32Array(256 * 8);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    built[byte] = crc;
  }
  for (let at = 256; at < built.length; at++) {
    const shorter = built[at - 256] as number;
    built[at] = (built[shorter & 255] as number) ^ (shorter >>> 8);
  }
  return built;
}
