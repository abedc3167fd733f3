/** Parts of requests to an authority and of its answers, as bytes. Nothing that is read is trusted. */
import { type ByteReader, type ByteWriter, malformed } from "../../store/bytes.ts";
import { guardedBytesMax, resourceBytesMax, timeMsMax } from "../fence/arguments.ts";
import type { CommitPart, Present, Refused } from "../fence/authority.ts";
import { integerMax, integerMin } from "../fence/guard.ts";
import type { Operation } from "../locks.ts";

/** Of a resource with its prefix. */
export const nameBytesMax: number = resourceBytesMax * 2;
/** Of what a holder has drawn. */
export const nonceBytesMax = 64;
/** Of a birth id. */
export const birthBytesMax = 64;
/** Of words for people. */
export const reasonBytesMax = 1024;
/** Resources of one commit. */
export const partsMax = 1024;
const bigMax = 2n ** 64n - 1n;

/** One resource of a commit. */
export function writePart(out: ByteWriter, { resource, fence, version, value }: CommitPart): void {
  out.text(resource);
  writeBig(out, fence.token);
  out.text(fence.nonce);
  writeBig(out, version);
  optional(out, value, (bytes) => writeValue(out, bytes));
}

/** @throws MalformedError */
export function readPart(reader: ByteReader): CommitPart {
  const resource = reader.text(nameBytesMax);
  const fence = { token: readBig(reader), nonce: reader.text(nonceBytesMax) };
  const version = readBig(reader);
  const part = { resource, fence, version };
  return present(reader) ? { ...part, value: readValue(reader) } : part;
}

const addition = 0;
const setting = 1;

/** What the store is to compute. */
export function writeOperation(out: ByteWriter, operation: Operation): void {
  if (operation.kind === "set-if-absent") {
    out.byte(setting);
    writeValue(out, operation.value);
    return;
  }
  out.byte(addition);
  writeAmount(out, operation.by);
  optional(out, operation.min, (min) => writeAmount(out, min));
  optional(out, operation.max, (max) => writeAmount(out, max));
}

/** @throws MalformedError */
export function readOperation(reader: ByteReader): Operation {
  const kind = reader.byte();
  if (kind === setting) return { kind: "set-if-absent", value: readValue(reader) };
  if (kind !== addition) return malformed(`an operation of kind ${kind}`);
  const by = readAmount(reader);
  const min = present(reader) ? { min: readAmount(reader) } : {};
  const max = present(reader) ? { max: readAmount(reader) } : {};
  return { kind: "add", by, ...min, ...max };
}

/** No sum is further than this from another, so what is larger means the same. */
const amountMax = 2n * (integerMax - integerMin);

function writeAmount(out: ByteWriter, amount: bigint): void {
  const size = amount < 0n ? -amount : amount;
  const clamped = size > amountMax ? amountMax : size;
  out.text(amount < 0n ? `-${clamped}` : `${clamped}`);
}

function readAmount(reader: ByteReader): bigint {
  const digits = reader.text(24);
  return /^-?[0-9]{1,20}$/u.test(digits) ? BigInt(digits) : malformed("an amount of no digits");
}

/** A guard. */
export function writePresent(out: ByteWriter, { value, version, token }: Present): void {
  writeBig(out, version);
  writeBig(out, token);
  optional(out, value, (bytes) => writeValue(out, bytes));
}

/** @throws MalformedError */
export function readPresent(reader: ByteReader): Present {
  const version = readBig(reader);
  const token = readBig(reader);
  return { version, token, value: present(reader) ? readValue(reader) : undefined };
}

/** How a refusal is told apart. `overtaken`: it was moved, and what is there instead follows. */
export type RefusedTag = Refused["kind"] | "overtaken";

/** Why nothing was written. */
export function writeRefused(out: ByteWriter, refused: Refused): void {
  out.varint(refused.index);
  writeBig(out, refused.installed);
  out.byte(refused.forgotten ? 1 : 0);
  if (refused.kind === "moved" && refused.present) writePresent(out, refused.present);
}

/** @throws MalformedError */
export function readRefused(tag: RefusedTag, reader: ByteReader): Refused {
  const index = reader.bounded(partsMax, "the index of a part");
  const why = { index, installed: readBig(reader), forgotten: flag(reader) };
  if (tag !== "overtaken") return { kind: tag, ...why };
  return { kind: "moved", ...why, present: readPresent(reader) };
}

/** What may be absent. */
export function optional<T>(
  out: ByteWriter,
  value: T | undefined,
  write: (value: T) => void,
): void {
  out.byte(value === undefined ? 0 : 1);
  if (value !== undefined) write(value);
}

/** Whether what may be absent follows. @throws MalformedError */
export const present = (reader: ByteReader): boolean => flag(reader);

/** @throws MalformedError */
export function flag(reader: ByteReader): boolean {
  const byte = reader.byte();
  return byte > 1 ? malformed(`a flag that is ${byte}`) : byte === 1;
}

/** In ms. @throws MalformedError */
export function readTime(reader: ByteReader): number {
  const timeMs = reader.double();
  return timeMs >= 0 && timeMs <= 2 * timeMsMax ? timeMs : malformed(`a time of ${timeMs} ms`);
}

/** A length and bytes. */
export function writeValue(out: ByteWriter, value: Uint8Array): void {
  out.varint(value.length);
  out.raw(value);
}

/** A copy: what was read from is used again. @throws MalformedError */
export const readValue = (reader: ByteReader): Uint8Array =>
  Uint8Array.from(reader.raw(reader.bounded(guardedBytesMax, "the length of a value")));

/** Eight bytes. A version that nothing can have is still one that nothing has. */
export function writeBig(out: ByteWriter, big: bigint): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(big < 0n || big > bigMax ? bigMax : big);
  out.raw(bytes);
}

/** @throws MalformedError */
export function readBig(reader: ByteReader): bigint {
  const { buffer, byteOffset } = reader.raw(8);
  return new DataView(buffer, byteOffset, 8).getBigUint64(0);
}

/** As much of a reason as is sent. */
export function shortened(reason: string): string {
  const whole = reason.toWellFormed();
  return Buffer.byteLength(whole) <= reasonBytesMax ? whole : whole.slice(0, reasonBytesMax / 4);
}
