/**
 * The messages of y-websocket, to the byte: a kind, and what it carries.
 *
 * Integers are little-endian in groups of 7 bits, bytes and strings have their length before them: as our own
 * `ByteWriter` writes them. A client that speaks otherwise is refused, with one exception: kinds that nobody here
 * knows are passed over, as the server of y-websocket does, since applications add some for each other.
 *
 * @see https://github.com/yjs/y-protocols/blob/master/PROTOCOL.md
 */
import { ByteReader, ByteWriter, malformed } from "../../store/bytes.ts";

const messageSync = 0;
const messageAwareness = 1;
const messageAuth = 2;
const messageQueryAwareness = 3;
const syncStep1 = 0;
const syncStep2 = 1;
const syncUpdate = 2;
const permissionDenied = 0;

/** What a client says. */
export type Message =
  /** Asks for what is not covered by this state vector. */
  | { readonly kind: "step-1"; readonly vector: Uint8Array }
  /** The answer to our own question. */
  | { readonly kind: "step-2"; readonly update: Uint8Array }
  | { readonly kind: "update"; readonly update: Uint8Array }
  | { readonly kind: "awareness"; readonly entries: readonly AwarenessEntry[] }
  | { readonly kind: "query-awareness" }
  | { readonly kind: "unknown" };

/** What one client of a document says of itself, such as where its cursor is. */
export interface AwarenessEntry {
  readonly id: number;
  /** Grows with every state that the client tells. */
  readonly clock: number;
  /** JSON; `null` says that it is gone. */
  readonly state: string;
}

/** The JSON of nobody. */
export const goneState = "null";

/** The longest state, in bytes of JSON. */
export const stateBytesMax = 4_096;

/** Entries of one message, at most: more than a document has. */
export const entriesMax = 4_096;

/** Reads a message. @throws MalformedError */
export function readMessage(bytes: Uint8Array): Message {
  const reader = new ByteReader(bytes);
  const kind = reader.varint();
  if (kind !== messageSync && kind !== messageAwareness && kind !== messageQueryAwareness) {
    return { kind: "unknown" };
  }
  const message = kind === messageSync ? readSync(reader) : readOther(kind, reader);
  reader.end();
  return message;
}

function readSync(reader: ByteReader): Message {
  switch (reader.varint()) {
    case syncStep1:
      return { kind: "step-1", vector: readBytes(reader) };
    case syncStep2:
      return { kind: "step-2", update: readBytes(reader) };
    case syncUpdate:
      return { kind: "update", update: readBytes(reader) };
    default:
      return malformed("no message of the sync protocol has this kind");
  }
}

function readOther(kind: number, reader: ByteReader): Message {
  if (kind === messageQueryAwareness) return { kind: "query-awareness" };
  const inner = new ByteReader(readBytes(reader));
  const entries = readEntries(inner);
  inner.end();
  return { kind: "awareness", entries };
}

/** Entries as y-protocols has them. @throws MalformedError, also for a state that is no JSON. */
export function readEntries(reader: ByteReader): AwarenessEntry[] {
  const count = reader.bounded(entriesMax, "the number of states");
  const entries: AwarenessEntry[] = [];
  for (let at = 0; at < count; at++) {
    entries.push({ id: reader.varint(), clock: reader.varint(), state: readState(reader) });
  }
  return entries;
}

/** Clients parse it without looking, so what is no JSON must not reach them. @throws MalformedError */
export function readState(reader: ByteReader): string {
  const text = reader.text(stateBytesMax);
  try {
    // White space is no state of its own.
    return JSON.parse(text) === null ? goneState : text;
  } catch {
    return malformed("a state is no JSON");
  }
}

const readBytes = (reader: ByteReader): Uint8Array => reader.raw(reader.varint());

/** Our question: what is not covered by this state vector? */
export const step1Message = (vector: Uint8Array): Uint8Array => syncMessage(syncStep1, vector);

/** The answer to a client's question, after which it counts itself as synced. */
export const step2Message = (update: Uint8Array): Uint8Array => syncMessage(syncStep2, update);

export const updateMessage = (update: Uint8Array): Uint8Array => syncMessage(syncUpdate, update);

/** What is known of these clients. */
export function awarenessMessage(entries: readonly AwarenessEntry[]): Uint8Array {
  const inner = new ByteWriter();
  inner.varint(entries.length);
  for (const { id, clock, state } of entries) {
    inner.varint(id);
    inner.varint(clock);
    inner.text(state);
  }
  const writer = new ByteWriter();
  writer.varint(messageAwareness);
  writer.varint(inner.length);
  writer.raw(inner.view());
  return writer.take();
}

/** Says that changes are not taken, and why. */
export function deniedMessage(reason: string): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(messageAuth);
  writer.varint(permissionDenied);
  writer.text(reason);
  return writer.take();
}

function syncMessage(kind: number, bytes: Uint8Array): Uint8Array {
  const writer = new ByteWriter();
  writer.varint(messageSync);
  writer.varint(kind);
  writer.varint(bytes.length);
  const head = writer.view();
  // Of a whole document there should be no third copy.
  const message = new Uint8Array(head.length + bytes.length);
  message.set(head);
  message.set(bytes, head.length);
  return message;
}
