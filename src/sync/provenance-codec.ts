/**
 * The question what makes up a value, and its answer, as bytes.
 *
 *   question := collection key count name*
 *   answer   := 0 | 1 tag cells count cell*, count actor*, count member*
 *   cell     := count text*  actor sequence flags number text     actor: its place among the actors
 *   flags    := 1 live, 2 held, 4 the number is negative
 *   actor    := (16 bytes) held ending
 *   member   := name address (0 | 1 (16 bytes)) ms sequence*      one sequence for each actor
 */
import { actorBytes, actorIdFromBytes, actorIdToBytes, sequenceMax } from "../crdt/dot.ts";
import { endingCode, endingCodeMax, endingOf } from "../crdt/ending.ts";
import type { Name } from "../crdt/data-type.ts";
import { type ByteReader, type ByteWriter, malformed } from "../store/bytes.ts";
import {
  pathLengthMax,
  type Provenance,
  type ProvenancePlace,
  shownLengthMax,
  type ToldCell,
  toldCellsMax,
} from "../store/provenance.ts";
import { elementBytesMax, keyBytesMax, readName, writeValue } from "../store/values.ts";
import { nameBytesMax } from "./message.ts";
import { type Reply, type SeenActor, type SeenBy, toldMembersMax } from "./question.ts";

type ProvenanceReply = Omit<Extract<Reply, { readonly about: "provenance" }>, "about">;

/** A code unit is at most 3 bytes; what is cut ends with one more. */
const shownBytesMax = (shownLengthMax + 1) * 3;
/** Bytes of the address of a peer, as far as it is told. */
export const addressBytesMax = 1024;

const flags = { live: 1, held: 2, negative: 4 } as const;
const allFlags = flags.live | flags.held | flags.negative;

/** Writes the question. */
export function writePlace({ collection, key, path }: ProvenancePlace, out: ByteWriter): void {
  out.text(collection);
  out.text(key);
  out.varint(path.length);
  for (const name of path) writeValue(name, out);
}

/** Reads a question that is not trusted. @throws MalformedError */
export function readPlace(input: ByteReader): ProvenancePlace {
  const [collection, key] = [input.text(keyBytesMax), input.text(keyBytesMax)];
  const path: Name[] = [];
  for (let left = input.bounded(pathLengthMax, "the names"); left > 0; left--) {
    path.push(readName(input, input.byte()));
  }
  return { collection, key, path };
}

/** Writes the answer. */
export function writeProvenance(
  { found, actors, members }: ProvenanceReply,
  out: ByteWriter,
): void {
  out.byte(found ? 1 : 0);
  if (found) {
    out.text(found.tag);
    out.varint(found.count);
    out.varint(found.cells.length);
    const places = new Map(actors.map(({ actor }, place) => [actor, place]));
    for (const cell of found.cells) writeCell(cell, places.get(cell.actor) ?? 0, out);
  }
  out.varint(actors.length);
  for (const { actor, held, ending } of actors) {
    out.raw(actorIdToBytes(actor));
    out.varint(held);
    out.varint(endingCode(ending));
  }
  out.varint(members.length);
  for (const member of members) writeMember(member, out);
}

function writeCell(cell: ToldCell, actor: number, out: ByteWriter): void {
  const { path, sequence, isLive, isHeld, number, value } = cell;
  out.varint(path.length);
  for (const name of path) out.text(name);
  out.varint(actor);
  out.varint(sequence);
  out.byte(
    (isLive ? flags.live : 0) | (isHeld ? flags.held : 0) | (number < 0 ? flags.negative : 0),
  );
  out.varint(Math.abs(number));
  out.text(value);
}

function writeMember({ name, address, actor, lastSeenMs, acknowledged }: SeenBy, out: ByteWriter) {
  out.text(name);
  out.text(address);
  out.byte(actor === undefined ? 0 : 1);
  if (actor !== undefined) out.raw(actorIdToBytes(actor));
  out.varint(lastSeenMs);
  for (const sequence of acknowledged) out.varint(sequence);
}

interface ReadCell {
  readonly actor: number;
  readonly cell: Omit<ToldCell, "actor">;
}

/** Reads an answer that is not trusted. @throws MalformedError */
export function readProvenance(input: ByteReader): ProvenanceReply {
  const isFound = input.byte() !== 0;
  const tag = isFound ? input.text(elementBytesMax) : "";
  const count = isFound ? input.varint() : 0;
  const read: ReadCell[] = [];
  for (let left = isFound ? input.bounded(toldCellsMax, "the cells") : 0; left > 0; left--) {
    read.push(readCell(input));
  }
  const actors: SeenActor[] = [];
  for (let left = input.bounded(toldCellsMax, "the actors"); left > 0; left--) {
    const actor = actorIdFromBytes(input.raw(actorBytes));
    const held = input.bounded(sequenceMax, "a sequence");
    actors.push({ actor, held, ending: endingOf(input.bounded(endingCodeMax, "an end")) });
  }
  const members: SeenBy[] = [];
  for (let left = input.bounded(toldMembersMax, "the members"); left > 0; left--) {
    members.push(readMember(input, actors.length));
  }
  const cells = read.map(({ actor, cell }): ToldCell => {
    const named = actors[actor] ?? malformed("a cell of no actor");
    const { path, sequence, isLive, isHeld, number, value } = cell;
    return { path, actor: named.actor, sequence, isLive, isHeld, number, value };
  });
  const found: Provenance | undefined = isFound ? { tag, count, cells } : undefined;
  return { found, actors, members };
}

function readCell(input: ByteReader): ReadCell {
  const path: string[] = [];
  for (let left = input.bounded(pathLengthMax, "the names"); left > 0; left--) {
    path.push(input.text(shownBytesMax));
  }
  const actor = input.bounded(toldCellsMax, "an actor");
  const sequence = input.bounded(sequenceMax, "a sequence");
  const bits = input.byte();
  if (bits > allFlags) malformed(`flags ${bits}`);
  const size = input.varint();
  const isNegative = (bits & flags.negative) !== 0;
  if (isNegative && size === 0) malformed("a negative zero");
  const cell = {
    ...{ path, sequence, number: isNegative ? -size : size },
    isLive: (bits & flags.live) !== 0,
    isHeld: (bits & flags.held) !== 0,
    value: input.text(shownBytesMax),
  };
  return { actor, cell };
}

function readMember(input: ByteReader, actors: number): SeenBy {
  const name = input.text(nameBytesMax);
  const address = input.text(addressBytesMax);
  const actor = input.byte() === 0 ? undefined : actorIdFromBytes(input.raw(actorBytes));
  const lastSeenMs = input.varint();
  const acknowledged: number[] = [];
  for (let left = actors; left > 0; left--) {
    acknowledged.push(input.bounded(sequenceMax, "a sequence"));
  }
  return { name, address, actor, lastSeenMs, acknowledged };
}
