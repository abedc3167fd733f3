/**
 * Requests to an authority, and its answers, as bytes.
 *
 *   message := format kind number body     number: of the request; its answer has the same
 *   relayed := format kind hops message    a request that has come over so many links already
 *   traced  := format kind traceId spanId flags (relayed | message)
 *                                          a request, and the span that it is made in: 16, 8 and 1 bytes;
 *                                          only to a peer that said that it understands it
 *
 * Versions and tokens are eight bytes, times doubles in ms, what may be absent has a byte before it. What
 * comes from a peer is not trusted: lengths and numbers are checked before anything is made of them.
 */
import { ByteReader, ByteWriter, malformed } from "../../store/bytes.ts";
import type { TraceContext } from "../../trace-context.ts";
import { operationIdBytesMax } from "../fence/arguments.ts";
import type { CommitPart } from "../fence/authority.ts";
import {
  birthBytesMax,
  flag,
  nameBytesMax,
  nonceBytesMax,
  optional,
  partsMax,
  present,
  readBig,
  readOperation,
  readPart,
  readPresent,
  readRefused,
  readTime,
  readValue,
  reasonBytesMax,
  type RefusedTag,
  shortened,
  writeBig,
  writeOperation,
  writePart,
  writePresent,
  writeRefused,
  writeValue,
} from "./authority-fields.ts";
import type { Call, Replies, Reply } from "./authority-message.ts";
import { readTrace, writeTrace } from "./trace-fields.ts";
import {
  isHandover,
  readHandoverCall,
  readHandoverReply,
  writeHandoverCall,
  writeHandoverReply,
} from "./handover-codec.ts";
import { calls, repliesTo, replies, type ReplyTag } from "./authority-tags.ts";
import { distanceMax } from "./standing.ts";

/** The form of all messages; a change of meaning makes a new one. */
const format = 1;
/** The largest message: several values at their largest. */
export const authorityBytesMax: number = 16 * 1024 * 1024;

const placeMax = 2 ** 20;

/** A request and its number. */
export interface NumberedCall {
  readonly number: number;
  readonly call: Call;
  /** Links that it has come over before the one to who reads it. */
  readonly hops: number;
  /** The span that it is made in. */
  readonly trace?: TraceContext | undefined;
}

/** Among the messages of an authority: a request of somebody else. */
const relayedKind = 65;
/** A request with the span that it is made in. */
const tracedKind = 66;

/** The bytes of a request. O(bytes). */
export function writeCall({ number, call, hops, trace }: NumberedCall): Uint8Array {
  const out = new ByteWriter();
  if (trace) {
    out.byte(format);
    out.byte(tracedKind);
    writeTrace(out, trace);
  }
  if (hops > 0) {
    out.byte(format);
    out.byte(relayedKind);
    out.byte(hops);
  }
  out.byte(format);
  out.byte(calls[call.kind]);
  out.varint(number);
  if (call.kind === "birth") return out.take();
  if (isHandover(call)) {
    writeHandoverCall(out, call);
    return out.take();
  }
  optional(out, call.request.birth, (birth) => out.text(birth));
  if (call.kind === "commit") {
    const { parts, operationId } = call.request;
    out.text(operationId);
    out.varint(parts.length);
    for (const part of parts) writePart(out, part);
    return out.take();
  }
  out.text(call.request.resource);
  writeRequest(out, call);
  return out.take();
}

type OneResource = Exclude<Call, { kind: "birth" | "commit" | "give" | "take" }>;

function writeRequest(out: ByteWriter, call: OneResource): void {
  switch (call.kind) {
    case "read":
      break;
    case "open":
      out.text(call.request.nonce);
      out.double(call.request.ttlMs);
      out.double(call.request.waitMs);
      optional(out, call.request.maxHoldMs, (maxHoldMs) => out.double(maxHoldMs));
      break;
    case "turn":
    case "cancel":
      out.text(call.request.nonce);
      break;
    case "renew":
      writeBig(out, call.request.fence.token);
      out.text(call.request.fence.nonce);
      out.double(call.request.ttlMs);
      break;
    case "compareAndSet":
      out.text(call.request.operationId);
      writeBig(out, call.request.expected);
      writeValue(out, call.request.value);
      break;
    case "operate":
      out.text(call.request.operationId);
      writeBig(out, call.request.since);
      writeOperation(out, call.request.operation);
      break;
  }
}

/**
 * Reads a request that is not trusted. O(bytes).
 * @throws MalformedError when it is none.
 */
export function readCall(bytes: Uint8Array): NumberedCall {
  const reader = new ByteReader(bytes);
  let code = readHead(reader, bytes);
  let hops = 0;
  let trace: TraceContext | undefined;
  if (code === tracedKind) {
    trace = readTrace(reader);
    code = readHead(reader, bytes);
  }
  if (code === relayedKind) {
    hops = reader.byte();
    if (hops === 0 || hops > distanceMax) malformed(`a request that came over ${hops} links`);
    code = readHead(reader, bytes);
  }
  const number = reader.varint();
  const call = readCallBody(code, reader);
  reader.end();
  return trace === undefined ? { number, call, hops } : { number, call, hops, trace };
}

function readCallBody(code: number, reader: ByteReader): Call {
  if (code === calls.birth) return { kind: "birth" };
  if (code === calls.give) return readHandoverCall("give", reader);
  if (code === calls.take) return readHandoverCall("take", reader);
  const birth = present(reader) ? reader.text(birthBytesMax) : undefined;
  if (code === calls.commit) {
    const operationId = reader.text(operationIdBytesMax);
    const parts: CommitPart[] = [];
    for (let left = reader.bounded(partsMax, "the parts"); left > 0; left--) {
      parts.push(readPart(reader));
    }
    if (parts.length === 0) malformed("a commit of nothing");
    return { kind: "commit", request: { birth, operationId, parts } };
  }
  const one = { birth, resource: reader.text(nameBytesMax) };
  switch (code) {
    case calls.open: {
      const nonce = reader.text(nonceBytesMax);
      const times = { ttlMs: readTime(reader), waitMs: readTime(reader) };
      const hold = present(reader) ? { maxHoldMs: readTime(reader) } : {};
      return { kind: "open", request: { ...one, nonce, ...times, ...hold } };
    }
    case calls.turn:
      return { kind: "turn", request: { ...one, nonce: reader.text(nonceBytesMax) } };
    case calls.cancel:
      return { kind: "cancel", request: { ...one, nonce: reader.text(nonceBytesMax) } };
    case calls.renew: {
      const fence = { token: readBig(reader), nonce: reader.text(nonceBytesMax) };
      return { kind: "renew", request: { ...one, fence, ttlMs: readTime(reader) } };
    }
    case calls.read:
      return { kind: "read", request: one };
    case calls.compareAndSet: {
      const operationId = reader.text(operationIdBytesMax);
      const expected = readBig(reader);
      const request = { ...one, operationId, expected, value: readValue(reader) };
      return { kind: "compareAndSet", request };
    }
    case calls.operate: {
      const operationId = reader.text(operationIdBytesMax);
      const since = readBig(reader);
      const request = { ...one, operationId, since, operation: readOperation(reader) };
      return { kind: "operate", request };
    }
    default:
      return malformed(`a request of kind ${code}`);
  }
}

/** The bytes of the answer to request `number`. O(bytes). */
export function writeReply(number: number, reply: Reply): Uint8Array {
  const out = begin(replies[tagOf(reply)], number);
  if (isHandover(reply)) writeHandoverReply(out, reply);
  else writeReplyBody(out, reply);
  return out.take();
}

/** What is said of one kind in two forms has two tags. */
function tagOf(reply: Reply): ReplyTag {
  if (reply.kind === "held" && "place" in reply) return "queued";
  return reply.kind === "moved" && reply.present ? "overtaken" : reply.kind;
}

type PlainReply = Exclude<Reply, { kind: "given" | "guards" }>;

function writeReplyBody(out: ByteWriter, reply: PlainReply): void {
  switch (reply.kind) {
    case "born":
    case "reborn":
      out.text(reply.birth);
      break;
    case "alive":
      out.byte(reply.isAlive ? 1 : 0);
      break;
    case "present":
      writePresent(out, reply.present);
      break;
    case "opened":
      writeBig(out, reply.token);
      writePresent(out, reply.present);
      break;
    case "committed":
      out.varint(reply.versions.length);
      for (const version of reply.versions) writeBig(out, version);
      break;
    case "written":
      writeBig(out, reply.version);
      writeBig(out, reply.token);
      break;
    case "operated":
      out.byte(reply.applied ? 1 : 0);
      writePresent(out, reply.present);
      break;
    case "forgotten":
      writeBig(out, reply.version);
      break;
    case "unavailable":
    case "failed":
      out.text(shortened(reply.reason));
      break;
    case "held":
      if ("place" in reply) {
        out.varint(reply.place + 1);
        out.double(reply.leftMs);
        break;
      }
      writeRefused(out, reply);
      break;
    case "stale":
    case "moved":
      writeRefused(out, reply);
      break;
    default:
      break;
  }
}

/** The number of the request that this answers. @throws MalformedError */
export function numberOfReply(bytes: Uint8Array): number {
  const reader = new ByteReader(bytes);
  if (isCall(bytes)) malformed("no answer");
  readHead(reader, bytes);
  return reader.varint();
}

/** Whether this is a request; otherwise it may be an answer. @throws MalformedError */
export function isCall(bytes: Uint8Array): boolean {
  const kind = readHead(new ByteReader(bytes), bytes);
  return kind < replies.born || kind === relayedKind || kind === tracedKind;
}

/**
 * Reads the answer to a request of this kind; it is not trusted. O(bytes).
 * @throws MalformedError when it cannot be one.
 */
export function readReply<K extends Call["kind"]>(
  kind: K,
  bytes: Uint8Array,
): Replies[K] | Extract<Reply, { kind: "unavailable" | "failed" }>;
export function readReply(kind: Call["kind"], bytes: Uint8Array): Reply {
  const reader = new ByteReader(bytes);
  const code = readHead(reader, bytes);
  reader.varint();
  const tag = repliesTo[kind].find((one) => replies[one] === code);
  if (tag === undefined) return malformed(`an answer of kind ${code} to ${kind}`);
  const reply = readReplyOf(tag, reader);
  reader.end();
  return reply;
}

function readReplyOf(tag: ReplyTag, reader: ByteReader): Reply {
  switch (tag) {
    case "given":
    case "guards":
      return readHandoverReply(tag, reader);
    case "stale":
    case "moved":
    case "held":
    case "overtaken":
      return readRefused(tag, reader);
    default:
      return readReplyBody(tag, reader);
  }
}

type PlainTag = Exclude<ReplyTag, "given" | "guards" | RefusedTag>;

function readReplyBody(tag: PlainTag, reader: ByteReader): Reply {
  switch (tag) {
    case "done":
    case "full":
    case "no-integer":
      return { kind: tag };
    case "born":
    case "reborn":
      return { kind: tag, birth: reader.text(birthBytesMax) };
    case "alive":
      return { kind: tag, isAlive: flag(reader) };
    case "present":
      return { kind: tag, present: readPresent(reader) };
    case "opened":
      return { kind: tag, token: readBig(reader), present: readPresent(reader) };
    case "queued": {
      const place = reader.bounded(placeMax, "a place in line") - 1;
      return { kind: "held", place, leftMs: readTime(reader) };
    }
    case "committed": {
      const versions: bigint[] = [];
      for (let left = reader.bounded(partsMax, "the parts"); left > 0; left--) {
        versions.push(readBig(reader));
      }
      return { kind: tag, versions };
    }
    case "written":
      return { kind: tag, version: readBig(reader), token: readBig(reader) };
    case "operated":
      return { kind: tag, applied: flag(reader), present: readPresent(reader) };
    case "forgotten":
      return { kind: tag, version: readBig(reader) };
    case "unavailable":
    case "failed":
      return { kind: tag, reason: reader.text(reasonBytesMax) };
  }
}

function begin(kind: number, number: number): ByteWriter {
  const out = new ByteWriter();
  out.byte(format);
  out.byte(kind);
  out.varint(number);
  return out;
}

function readHead(reader: ByteReader, bytes: Uint8Array): number {
  if (bytes.length > authorityBytesMax) malformed(`${bytes.length} bytes`);
  const found = reader.byte();
  if (found !== format) malformed(`a message of format ${found}; ${format} is known here`);
  return reader.byte();
}
