/**
 * Questions and answers as bytes.
 *
 *   ask     := about …
 *     collections := 1 bound                              bound := 0 | 1 value
 *     vector      := 2 bound                              (16 bytes)
 *     split       := 3 collection bound bound parts
 *     digests     := 4 collection bound bound count key*
 *     provenance  := 5, see provenance-codec.ts
 *   answer  := digest of the vector, about …
 *     collections := 1 more count (name tag keys)*
 *     vector      := 2 more count (16 bytes, sequence)*
 *     split       := 3 count (last keys digest)*
 *     digests     := 4 count (keys digest)*
 *     provenance  := 5, see provenance-codec.ts
 */
import { actorBytes, type ActorId, actorIdFromBytes, actorIdToBytes } from "../crdt/dot.ts";
import { type ByteReader, type ByteWriter, malformed } from "../store/bytes.ts";
import { nodeNumberMax } from "../store/frame.ts";
import { keyDigestBytes, type RangeDigest } from "../store/compare/key-digest.ts";
import { collectionsMax } from "../store/schema.ts";
import { elementBytesMax, keyBytesMax } from "../store/values.ts";
import {
  type CollectionSize,
  type KeyRange,
  type Part,
  partsMax,
} from "../store/compare/witness.ts";
import { entryBytesMax, readEntries, writeEntries } from "./entry-codec.ts";
import { entriesPerMessageMax } from "./message.ts";
import { readPlace, readProvenance, writePlace, writeProvenance } from "./provenance-codec.ts";
import type { Question, Reply } from "./question.ts";

const numbers = { collections: 1, vector: 2, split: 3, digests: 4, provenance: 5 } as const;

/** The longest question and the longest answer, in bytes, besides what goes around them. */
export const questionBytesMax: number = (partsMax + 2) * (keyBytesMax + 4);
export const replyBytesMax: number = entriesPerMessageMax * entryBytesMax;

/** Writes a question. */
export function writeQuestion(question: Question, out: ByteWriter): void {
  out.byte(numbers[question.about]);
  switch (question.about) {
    case "collections":
      writeBound(question.after, out);
      break;
    case "vector":
      out.byte(question.after === undefined ? 0 : 1);
      if (question.after !== undefined) out.raw(actorIdToBytes(question.after));
      break;
    case "split":
      writeRange(question, out);
      out.varint(question.parts);
      break;
    case "digests":
      writeRange(question, out);
      out.varint(question.bounds.length);
      for (const bound of question.bounds) out.text(bound);
      break;
    case "provenance":
      writePlace(question, out);
      break;
  }
}

/** Reads a question that is not trusted. @throws MalformedError */
export function readQuestion(input: ByteReader): Question {
  const number = input.byte();
  switch (number) {
    case numbers.collections:
      return { about: "collections", after: readBound(input) };
    case numbers.vector:
      return { about: "vector", after: input.byte() === 0 ? undefined : readActor(input) };
    case numbers.split: {
      const asked = readRange(input);
      const parts = input.bounded(partsMax, "the parts");
      if (parts === 0) malformed("a range in no parts");
      return { about: "split", ...asked, parts };
    }
    case numbers.digests:
      return readDigestsQuestion(input);
    case numbers.provenance:
      return { about: "provenance", ...readPlace(input) };
    default:
      return malformed(`question ${number}`);
  }
}

/** Writes an answer. */
export function writeReply(reply: Reply, out: ByteWriter): void {
  out.byte(numbers[reply.about]);
  switch (reply.about) {
    case "collections":
      out.byte(reply.more ? 1 : 0);
      out.varint(reply.collections.length);
      for (const { name, tag, keys } of reply.collections) {
        out.text(name);
        out.text(tag);
        out.varint(keys);
      }
      break;
    case "vector":
      out.byte(reply.more ? 1 : 0);
      writeEntries(reply.entries, out);
      break;
    case "split":
      out.varint(reply.parts.length);
      for (const part of reply.parts) {
        out.text(part.last);
        writeDigest(part, out);
      }
      break;
    case "digests":
      out.varint(reply.digests.length);
      for (const digest of reply.digests) writeDigest(digest, out);
      break;
    case "provenance":
      writeProvenance(reply, out);
      break;
  }
}

/** Reads an answer that is not trusted. @throws MalformedError */
export function readReply(input: ByteReader): Reply {
  const number = input.byte();
  switch (number) {
    case numbers.collections:
      return { about: "collections", more: input.byte() !== 0, collections: readSizes(input) };
    case numbers.vector:
      return { about: "vector", more: input.byte() !== 0, entries: readEntries(input) };
    case numbers.split:
      return { about: "split", parts: readParts(input) };
    case numbers.digests: {
      const digests: RangeDigest[] = [];
      for (let left = input.bounded(partsMax, "the parts"); left > 0; left--) {
        digests.push(readDigest(input));
      }
      return { about: "digests", digests };
    }
    case numbers.provenance:
      return { about: "provenance", ...readProvenance(input) };
    default:
      return malformed(`answer ${number}`);
  }
}

interface AskedRange {
  readonly collection: string;
  readonly range: KeyRange;
}

function writeRange({ collection, range }: AskedRange, out: ByteWriter): void {
  out.text(collection);
  writeBound(range.after, out);
  writeBound(range.to, out);
}

function readRange(input: ByteReader): AskedRange {
  const collection = input.text(keyBytesMax);
  const [after, to] = [readBound(input), readBound(input)];
  if (after !== undefined && to !== undefined && after >= to) malformed("a range of nothing");
  return { collection, range: { after, to } };
}

function readDigestsQuestion(input: ByteReader): Question {
  const asked = readRange(input);
  const bounds: string[] = [];
  for (let left = input.bounded(partsMax - 1, "the bounds"); left > 0; left--) {
    bounds.push(input.text(keyBytesMax));
  }
  const { after, to } = asked.range;
  const all = [after, ...bounds, to].filter((bound) => bound !== undefined);
  if (all.some((bound, i) => i > 0 && bound <= (all[i - 1] ?? ""))) {
    malformed("bounds out of order");
  }
  return { about: "digests", ...asked, bounds };
}

function writeBound(bound: string | undefined, out: ByteWriter): void {
  out.byte(bound === undefined ? 0 : 1);
  if (bound !== undefined) out.text(bound);
}

const readBound = (input: ByteReader): string | undefined =>
  input.byte() === 0 ? undefined : input.text(keyBytesMax);

function readSizes(input: ByteReader): CollectionSize[] {
  const sizes: CollectionSize[] = [];
  for (let left = input.bounded(collectionsMax, "the collections"); left > 0; left--) {
    const name = input.text(keyBytesMax);
    const before = sizes.at(-1);
    if (before && before.name >= name) malformed("collections out of order");
    sizes.push({ name, tag: input.text(elementBytesMax), keys: readCount(input) });
  }
  return sizes;
}

function readParts(input: ByteReader): Part[] {
  const parts: Part[] = [];
  for (let left = input.bounded(partsMax, "the parts"); left > 0; left--) {
    const last = input.text(keyBytesMax);
    const before = parts.at(-1);
    if (before && before.last >= last) malformed("parts out of order");
    parts.push({ last, ...readDigest(input) });
  }
  return parts;
}

function writeDigest({ keys, digest }: RangeDigest, out: ByteWriter): void {
  out.varint(keys);
  out.raw(digest);
}

function readDigest(input: ByteReader): RangeDigest {
  return { keys: readCount(input), digest: Uint8Array.from(input.raw(keyDigestBytes)) };
}

/** Every key is a node. */
const readCount = (input: ByteReader): number => input.bounded(nodeNumberMax, "the keys");

const readActor = (input: ByteReader): ActorId => actorIdFromBytes(input.raw(actorBytes));
