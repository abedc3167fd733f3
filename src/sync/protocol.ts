/**
 * Messages as bytes.
 *
 *   message := kind number body            number: 1, 2, 3 … on each direction of a link
 *   hello   := "TRLS" min max count (id length bytes)*
 *   summary := bits digest*
 *   vector  := flags (series frames)? count (16 bytes, sequence, ending)*
 *   ended   := count (16 bytes, ending)*          ending: see crdt/ending.ts, 0 for none
 *   frame   := the frame, to the end
 *   service := name bytes                         to the end
 *   ack     := frames
 *   bye     := code reason
 *   ask, answer: see question-codec.ts
 *
 * Integers are varints. The number tells a broken network: one seen before is passed over, a gap ends
 * the link. A newer peer may add fields to a hello, under new ids, and bytes behind the bodies of all
 * but frames and services: both are passed over. Everything else that is new is a new protocol version.
 * The hello itself keeps its form in all versions, up to the fields; what is sent after it has the newest
 * version that both ends speak. What a peer did not name in its hello as a service of its own is not sent.
 */
import { actorBytes, actorIdFromBytes, actorIdToBytes } from "../crdt/dot.ts";
import { ByteReader, ByteWriter, malformed } from "../store/bytes.ts";
import type { StagePoint } from "../store/stage.ts";
import { frameBytesMax } from "../store/frame.ts";
import { collectionsMax } from "../store/schema.ts";
import { elementBytesMax, keyBytesMax } from "../store/values.ts";
import { bucketBitsMax, digestBytes } from "./digest.ts";
import {
  entryBytesMax,
  readEndings,
  readEntries,
  writeEndings,
  writeEntries,
} from "./entry-codec.ts";
import {
  type CollectionTag,
  type EndCode,
  endCodes,
  entriesMax,
  entriesPerMessageMax,
  type Hello,
  serviceBytesMax,
  serviceNameBytesMax,
  servicesMax,
  type Message,
  nameBytesMax,
  nonceBytes,
  type Summary,
  type Vector,
} from "./message.ts";
import {
  questionBytesMax,
  readQuestion,
  readReply,
  replyBytesMax,
  writeQuestion,
  writeReply,
} from "./question-codec.ts";

const kinds = {
  hello: 1,
  summary: 2,
  vector: 3,
  frame: 4,
  ack: 5,
  ping: 6,
  pong: 7,
  bye: 8,
  stored: 9,
  ended: 10,
  ask: 11,
  answer: 12,
  service: 13,
} as const satisfies Record<Message["kind"], number>;

const kindOf: readonly (Message["kind"] | undefined)[] = [
  undefined,
  "hello",
  "summary",
  "vector",
  "frame",
  "ack",
  "ping",
  "pong",
  "bye",
  "stored",
  "ended",
  "ask",
  "answer",
  "service",
];

/** What goes around a frame, at most. */
const envelopeBytesMax = 16;
const smallBytesMax = 2048;

/** The largest message of each kind, in bytes. */
export const messageBytesMax: Readonly<Record<Message["kind"], number>> = {
  hello: 64 * 1024,
  summary: 2 ** bucketBitsMax * digestBytes + smallBytesMax,
  vector: entriesPerMessageMax * entryBytesMax + smallBytesMax,
  frame: frameBytesMax + envelopeBytesMax,
  ack: smallBytesMax,
  stored: smallBytesMax,
  ended: entriesPerMessageMax * entryBytesMax + smallBytesMax,
  ask: questionBytesMax + smallBytesMax,
  answer: replyBytesMax + smallBytesMax,
  service: serviceBytesMax + smallBytesMax,
  ping: smallBytesMax,
  pong: smallBytesMax,
  bye: smallBytesMax,
};

/** Bytes that the list of collections may take in a hello. What is left out, frames announce. */
const collectionsBytesMax = 48 * 1024;
const fieldsMax = 1024;
const magic = Buffer.from("TRLS");

const fields = {
  frameVersion: 1,
  actor: 2,
  name: 3,
  nonce: 4,
  wallMs: 5,
  isDurable: 6,
  link: 7,
  collections: 8,
  actors: 9,
  digest: 10,
  /** Only of who observes. */
  isObserver: 11,
  /** Only of who has some. */
  services: 12,
  /** Only to who may only read. */
  takesNothing: 13,
  /** Only of who answers more than the questions of the beginning. */
  questions: 20,
} as const;
const optionalFields = 4;

const vectorMore = 1;
const vectorStage = 2;

const reasonBytesMax = 512;
const byeCodes = new Map<number, EndCode>();
for (const [name, code] of Object.entries(endCodes)) {
  if (isEndCode(name)) byeCodes.set(code, name);
}

/** Writes messages; its buffer is used again and again. */
export class MessageWriter {
  readonly #out = new ByteWriter();
  readonly #field = new ByteWriter();

  /** The bytes of a message that is the link's `number`th in this direction. */
  write(number: number, message: Message): Uint8Array {
    const out = this.#out;
    out.reset();
    out.byte(kinds[message.kind]);
    out.varint(number);
    this.#body(message);
    return out.take();
  }

  #body(message: Message): void {
    const out = this.#out;
    switch (message.kind) {
      case "hello":
        this.#hello(message);
        break;
      case "summary":
        out.byte(message.bits);
        for (const digest of message.digests) out.raw(digest);
        break;
      case "vector":
        this.#vector(message);
        break;
      case "frame":
        out.raw(message.bytes);
        break;
      case "ack":
        out.varint(message.frames);
        break;
      case "stored":
        out.varint(message.taken);
        out.varint(message.sent);
        break;
      case "ended":
        writeEndings(message.endings, out);
        break;
      case "service":
        out.text(message.service);
        out.raw(message.bytes);
        break;
      case "ask":
        writeQuestion(message.question, out);
        break;
      case "answer":
        out.raw(message.digest);
        writeReply(message.reply, out);
        break;
      case "bye":
        out.varint(endCodes[message.code]);
        out.text(shortened(message.reason, reasonBytesMax));
        break;
      case "ping":
      case "pong":
        break;
    }
  }

  #hello(hello: Hello): void {
    const out = this.#out;
    out.raw(magic);
    out.varint(hello.versions.min);
    out.varint(hello.versions.max);
    const { isObserver = false, takesNothing = false, services = [], questions } = hello;
    const told = [isObserver, services.length > 0, takesNothing, questions !== undefined];
    const optional = told.filter(Boolean).length;
    out.varint(Object.keys(fields).length - optionalFields + optional);
    this.#put(fields.frameVersion, (field) => field.varint(hello.frameVersion));
    this.#put(fields.actor, (field) => field.raw(actorIdToBytes(hello.actor)));
    this.#put(fields.name, (field) => field.text(shortened(hello.name, nameBytesMax)));
    this.#put(fields.nonce, (field) => field.raw(hello.nonce));
    this.#put(fields.wallMs, (field) => field.varint(hello.wallMs));
    this.#put(fields.isDurable, (field) => field.byte(hello.isDurable ? 1 : 0));
    this.#put(fields.link, (field) => field.varint(hello.link));
    this.#put(fields.collections, (field) => writeCollections(field, hello.collections));
    this.#put(fields.actors, (field) => field.varint(hello.actors));
    this.#put(fields.digest, (field) => field.raw(hello.digest));
    if (isObserver) this.#put(fields.isObserver, (field) => field.byte(1));
    if (services.length > 0) this.#put(fields.services, (field) => writeNames(field, services));
    if (takesNothing) this.#put(fields.takesNothing, (field) => field.byte(1));
    if (questions !== undefined) this.#put(fields.questions, (field) => field.varint(questions));
  }

  #put(id: number, write: (field: ByteWriter) => void): void {
    this.#field.reset();
    write(this.#field);
    this.#out.varint(id);
    this.#out.varint(this.#field.length);
    this.#out.raw(this.#field.view());
  }

  #vector(vector: Vector): void {
    const out = this.#out;
    out.byte((vector.more ? vectorMore : 0) | (vector.stage ? vectorStage : 0));
    if (vector.stage) {
      out.varint(vector.stage.series);
      out.varint(vector.stage.frames);
    }
    writeEntries(vector.entries, out);
  }
}

/** A message and its number on the link. */
export interface Numbered {
  readonly number: number;
  readonly message: Message;
}

/**
 * Reads a message that is not trusted.
 * @throws MalformedError when it is none.
 */
export function readMessage(bytes: Uint8Array): Numbered {
  const input = new ByteReader(bytes);
  const kind = kindOf[input.byte()];
  if (kind === undefined) return malformed("a message of an unknown kind");
  if (bytes.length > messageBytesMax[kind]) malformed(`a ${kind} of ${bytes.length} bytes`);
  const number = input.varint();
  return { number, message: readBody(kind, input) };
}

function readBody(kind: Message["kind"], input: ByteReader): Message {
  switch (kind) {
    case "hello":
      return readHello(input);
    case "summary":
      return readSummary(input);
    case "vector":
      return readVector(input);
    case "frame":
      return { kind, bytes: input.raw(input.left) };
    case "ack":
      return { kind, frames: input.varint() || malformed("an acknowledgement of nothing") };
    case "stored":
      return { kind, taken: input.varint(), sent: input.varint() };
    case "ended":
      return { kind, endings: readEndings(input) };
    case "ask":
      return { kind, question: readQuestion(input) };
    case "answer": {
      const answerDigest = Uint8Array.from(input.raw(digestBytes));
      return { kind, digest: answerDigest, reply: readReply(input) };
    }
    case "service":
      return { kind, service: input.text(serviceNameBytesMax), bytes: input.raw(input.left) };
    case "bye":
      return {
        kind,
        code: byeCodes.get(input.varint()) ?? "leaving",
        reason: input.text(reasonBytesMax),
      };
    case "ping":
    case "pong":
      return { kind };
  }
}

function readHello(input: ByteReader): Hello {
  if (Buffer.compare(input.raw(magic.length), magic) !== 0) malformed("no Trellis peer");
  const min = input.varint();
  const max = input.varint();
  if (min > max) malformed(`protocol versions ${min} to ${max}`);
  const given = new Map<number, Uint8Array>();
  for (let left = input.bounded(fieldsMax, "the fields of a hello"); left > 0; left--) {
    const id = input.varint();
    if (given.has(id)) malformed(`field ${id} twice`);
    given.set(id, input.raw(input.varint()));
  }
  const field = <T>(name: keyof typeof fields, read: (bytes: ByteReader) => T): T => {
    const bytes = given.get(fields[name]);
    if (bytes === undefined) return malformed(`a hello without ${name}`);
    return read(new ByteReader(bytes));
  };
  const isObserver = given.get(fields.isObserver)?.[0] === 1;
  const takesNothing = given.get(fields.takesNothing)?.[0] === 1;
  const services = given.get(fields.services);
  const questions = given.get(fields.questions);
  return {
    kind: "hello",
    versions: { min, max },
    frameVersion: field("frameVersion", (bytes) => bytes.varint()),
    actor: field("actor", (bytes) => actorIdFromBytes(bytes.raw(actorBytes))),
    name: field("name", (bytes) => bytes.text(nameBytesMax)),
    nonce: field("nonce", (bytes) => Uint8Array.from(bytes.raw(nonceBytes))),
    wallMs: field("wallMs", (bytes) => bytes.varint()),
    isDurable: field("isDurable", (bytes) => bytes.byte() !== 0),
    link: field("link", (bytes) => bytes.varint()),
    collections: field("collections", readCollections),
    actors: field("actors", (bytes) => bytes.bounded(entriesMax, "the actors")),
    digest: field("digest", (bytes) => Uint8Array.from(bytes.raw(digestBytes))),
    ...(isObserver ? { isObserver } : {}),
    ...(takesNothing ? { takesNothing } : {}),
    ...(services ? { services: readNames(new ByteReader(services)) } : {}),
    ...(questions ? { questions: new ByteReader(questions).varint() } : {}),
  };
}

function writeNames(out: ByteWriter, names: readonly string[]): void {
  out.varint(names.length);
  for (const name of names) out.text(name);
}

function readNames(input: ByteReader): string[] {
  const names: string[] = [];
  for (let left = input.bounded(servicesMax, "the services"); left > 0; left--) {
    names.push(input.text(serviceNameBytesMax));
  }
  return names;
}

function writeCollections(out: ByteWriter, collections: readonly CollectionTag[]): void {
  let bytes = 0;
  const told = collections.filter(({ name, tag }) => {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(tag) + 6;
    return bytes <= collectionsBytesMax;
  });
  out.varint(told.length);
  for (const { name, tag } of told) {
    out.text(name);
    out.text(tag);
  }
}

function readCollections(input: ByteReader): CollectionTag[] {
  const collections: CollectionTag[] = [];
  for (let left = input.bounded(collectionsMax, "the collections"); left > 0; left--) {
    collections.push({ name: input.text(keyBytesMax), tag: input.text(elementBytesMax) });
  }
  return collections;
}

function readSummary(input: ByteReader): Summary {
  const bits = input.byte();
  if (bits > bucketBitsMax) malformed(`a summary by ${bits} bits`);
  const digests: Uint8Array[] = [];
  for (let i = 0; i < 2 ** bits; i++) digests.push(input.raw(digestBytes));
  return { kind: "summary", bits, digests };
}

function readVector(input: ByteReader): Vector {
  const flags = input.byte();
  let stage: StagePoint | undefined;
  if ((flags & vectorStage) !== 0) stage = { series: input.varint(), frames: input.varint() };
  const entries = readEntries(input);
  const more = (flags & vectorMore) !== 0;
  return { kind: "vector", more, ...(stage ? { stage } : {}), entries };
}

/** As much of `text` as fits into `bytesMax` bytes of well-formed UTF-8. */
function shortened(text: string, bytesMax: number): string {
  const whole = text.toWellFormed();
  if (Buffer.byteLength(whole) <= bytesMax) return whole;
  let short = whole.slice(0, bytesMax);
  while (Buffer.byteLength(short) > bytesMax) short = short.slice(0, -1);
  return short.replace(/[\uD800-\uDBFF]$/u, "");
}

function isEndCode(name: string): name is EndCode {
  return Object.hasOwn(endCodes, name);
}
