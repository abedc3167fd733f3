/** Entries of a version vector as bytes: count (16 bytes, sequence)*, in the order of their actors. */
import { actorBytes, actorIdFromBytes, actorIdToBytes, sequenceMax } from "../crdt/dot.ts";
import { type ByteReader, type ByteWriter, malformed } from "../store/bytes.ts";
import type { Entry } from "./digest.ts";
import { entriesPerMessageMax } from "./message.ts";

/** The most bytes that an entry takes. */
export const entryBytesMax: number = actorBytes + 5;

/** Writes entries that are in order. */
export function writeEntries(entries: readonly Entry[], out: ByteWriter): void {
  out.varint(entries.length);
  for (const { actor, sequence } of entries) {
    out.raw(actorIdToBytes(actor));
    out.varint(sequence);
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
    entries.push({ actor, sequence });
  }
  return entries;
}
