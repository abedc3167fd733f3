/**
 * A guard record as bytes, for stores that keep it as one blob. When a lease ends is not in it: that
 * belongs to a clock, and the store that keeps the bytes may have another one, or none.
 */
import { CorruptStorageError } from "../../errors.ts";
import { ByteReader, ByteWriter, malformed, MalformedError } from "../../store/bytes.ts";
import { operationsRemembered } from "../locks.ts";
import type { GuardRecord, Remembered } from "./guard.ts";

/** The form that is written; older ones are still read. */
const format = 1;
const nameBytesMax = 1024;

/** What is kept of a record. */
export interface StoredGuard extends Omit<GuardRecord, "holder"> {
  /** The birth of the store that this record belongs to. */
  readonly birth: string;
  /** The nonce of the installed fence, which has the record's token. */
  readonly nonce: string | undefined;
}

const has = { value: 1, fence: 2 } as const;

/** O(bytes). */
export function encodeGuard(guard: StoredGuard): Uint8Array {
  const { birth, value, version, token, nonce, operations } = guard;
  const writer = new ByteWriter();
  writer.byte(format);
  writer.text(birth);
  writer.byte((value ? has.value : 0) | (nonce === undefined ? 0 : has.fence));
  writeBigint(writer, version);
  writeBigint(writer, token);
  if (nonce !== undefined) writer.text(nonce);
  if (value) writeBytes(writer, value);
  writer.varint(operations.length);
  for (const { operationId, value: wrote } of operations) {
    writer.text(operationId);
    writer.byte(wrote ? has.value : 0);
    if (wrote) writeBytes(writer, wrote);
  }
  return writer.take();
}

/**
 * Reads what `encodeGuard` wrote. The value is a copy. O(bytes).
 * @throws CorruptStorageError for anything else; `where` says in the message what was read.
 */
export function decodeGuard(bytes: Uint8Array, where: string): StoredGuard {
  try {
    return read(new ByteReader(bytes));
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CorruptStorageError(`${where} is not a guard record: ${error.message}`, {
      cause: error,
    });
  }
}

function read(reader: ByteReader): StoredGuard {
  const found = reader.byte();
  if (found !== format) malformed(`its format is ${found}; ${format} is known here`);
  const birth = reader.text(nameBytesMax);
  const flags = reader.byte();
  if (flags > (has.value | has.fence)) malformed(`its flags are ${flags}`);
  const version = readBigint(reader);
  const token = readBigint(reader);
  const nonce = (flags & has.fence) > 0 ? reader.text(nameBytesMax) : undefined;
  const value = (flags & has.value) > 0 ? readBytes(reader) : undefined;
  const operations: Remembered[] = [];
  // More than we keep is read too: another release may remember more.
  for (let left = reader.bounded(operationsMax, "the number of operations"); left > 0; left--) {
    const operationId = reader.text(nameBytesMax);
    const flag = reader.byte();
    if (flag > has.value) malformed(`the flags of an operation are ${flag}`);
    operations.push(
      flag === has.value ? { operationId, value: readBytes(reader) } : { operationId },
    );
  }
  reader.end();
  return { birth, value, version, token, nonce, operations };
}

const operationsMax = operationsRemembered * 64;

function writeBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writer.varint(bytes.length);
  writer.raw(bytes);
}

/** A copy: a `slice` of a `Buffer` would be a view. */
const readBytes = (reader: ByteReader): Uint8Array =>
  new Uint8Array(reader.raw(reader.bounded(reader.left, "the length of a value")));

/** Eight bytes, most significant first: tokens of some stores use all of them. */
function writeBigint(writer: ByteWriter, integer: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(integer);
  writer.raw(bytes);
}

function readBigint(reader: ByteReader): bigint {
  const { buffer, byteOffset } = reader.raw(8);
  return new DataView(buffer, byteOffset, 8).getBigUint64(0);
}
