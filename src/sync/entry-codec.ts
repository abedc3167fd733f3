/**
 * Entries of a version vector, and ends of actors, as bytes.
 *
 *   entries := count (16 bytes, sequence, ending)*     in the order of actors
 *   endings := count (16 bytes, ending)*
 */
import {
  actorBytes,
  type ActorId,
  actorIdFromBytes,
  actorIdToBytes,
  sequenceMax,
} from "../crdt/dot.ts";
import { type Ending, endingCode, endingCodeMax, endingOf } from "../crdt/ending.ts";
import { type ByteReader, type ByteWriter, malformed } from "../store/bytes.ts";
import type { Entry } from "./digest.ts";
import { entriesPerMessageMax } from "./message.ts";

/** The most bytes that an entry takes. */
export const entryBytesMax: number = actorBytes + 10;

type Endings = readonly (readonly [actor: ActorId, ending: Ending])[];

/** Writes entries that are in order. */
export function writeEntries(entries: readonly Entry[], out: ByteWriter): void {
  out.varint(entries.length);
  for (const { actor, sequence, ending } of entries) {
    out.raw(actorIdToBytes(actor));
    out.varint(sequence);
    out.varint(endingCode(ending));
  }
}

/** Reads entries that are not trusted. @throws MalformedError */
export function readEntries(input: ByteReader): Entry[] {
  const entries: Entry[] = [];
  for (let left = input.bounded(entriesPerMessageMax, "the vector"); left > 0; left--) {
    const actor = actorIdFromBytes(input.raw(actorBytes));
    const sequence = input.bounded(sequenceMax, "a sequence");
    if (sequence === 0) malformed("an actor that did nothing");
    const before = entries.at(-1);
    if (before && before.actor >= actor) malformed("actors out of order");
    const ending = readEnding(input);
    entries.push({ actor, sequence, ...(ending ? { ending } : {}) });
  }
  return entries;
}

/** Writes the ends of actors. */
export function writeEndings(endings: Endings, out: ByteWriter): void {
  out.varint(endings.length);
  for (const [actor, ending] of endings) {
    out.raw(actorIdToBytes(actor));
    out.varint(endingCode(ending));
  }
}

/** Reads the ends of actors, which are not trusted. @throws MalformedError */
export function readEndings(input: ByteReader): Endings {
  const endings: (readonly [ActorId, Ending])[] = [];
  for (let left = input.bounded(entriesPerMessageMax, "the actors"); left > 0; left--) {
    const actor = actorIdFromBytes(input.raw(actorBytes));
    endings.push([actor, readEnding(input) ?? malformed("an end that is none")]);
  }
  return endings;
}

const readEnding = (input: ByteReader): Ending | undefined =>
  endingOf(input.bounded(endingCodeMax, "an end"));
