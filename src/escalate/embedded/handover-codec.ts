/** What is said when the part moves over a link, as bytes. Nothing that is read is trusted. */
import { type ByteReader, type ByteWriter, malformed } from "../../store/bytes.ts";
import { birthBytesMax, flag, nameBytesMax, readValue, writeValue } from "./authority-fields.ts";
import type { Call, GuardBytes, Replies } from "./authority-message.ts";
import { hostBytesMax, hostName, readClaim, writeClaim } from "./standing.ts";

type HandoverCall = Extract<Call, { kind: "give" | "take" }>;
type HandoverReply = Replies["give"] | Replies["take"];

/** Guards of one answer, at most. */
export const guardsMax = 1024;

/** Whether a request or an answer is one of these. */
export const isHandover = <M extends { readonly kind: string }>(
  message: M,
): message is Extract<M, { kind: "give" | "take" | "given" | "guards" }> =>
  ["give", "take", "given", "guards"].includes(message.kind);

/** Behind its head. O(length). */
export function writeHandoverCall(out: ByteWriter, call: HandoverCall): void {
  out.text(call.move);
  out.text(call.kind === "give" ? hostName(call.host) : call.after);
}

/** @throws MalformedError */
export function readHandoverCall(kind: HandoverCall["kind"], reader: ByteReader): HandoverCall {
  const move = reader.text(birthBytesMax);
  if (move === "") malformed("a move without an id");
  if (kind === "give") return { kind, move, host: reader.text(hostBytesMax) };
  return { kind, move, after: reader.text(nameBytesMax) };
}

/** Behind its head. O(bytes). */
export function writeHandoverReply(out: ByteWriter, reply: HandoverReply): void {
  if (reply.kind === "given") {
    out.varint(reply.serial);
    writeValue(out, writeClaim(reply.claim));
    return;
  }
  out.byte(reply.isLast ? 1 : 0);
  out.varint(reply.guards.length);
  for (const { resource, bytes } of reply.guards) {
    out.text(resource);
    writeValue(out, bytes);
  }
}

/** @throws MalformedError */
export function readHandoverReply(kind: HandoverReply["kind"], reader: ByteReader): HandoverReply {
  if (kind === "given") {
    return { kind, serial: reader.varint(), claim: readClaim(readValue(reader)) };
  }
  const isLast = flag(reader);
  const guards: GuardBytes[] = [];
  for (let left = reader.bounded(guardsMax, "the guards"); left > 0; left--) {
    const resource = reader.text(nameBytesMax);
    const length = reader.bounded(reader.left, "the length of a guard");
    guards.push({ resource, bytes: Uint8Array.from(reader.raw(length)) });
  }
  return { kind, isLast, guards };
}
