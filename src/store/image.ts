/**
 * What a replica's records mean: the keyspace as an ordered store has it. A record a node, with all of
 * its slot; one for each actor that wrote, one for each collection, and one about the whole. Logs are
 * not kept: the cells of an actor in the order of sequences are its log.
 */
import {
  actorBytes,
  type ActorId,
  actorIdFromBytes,
  actorIdToBytes,
  sequenceMax,
} from "../crdt/dot.ts";
import {
  describeShape,
  type Name,
  type Payload,
  parseShape,
  type Shape,
} from "../crdt/data-type.ts";
import { type Ending, endingCode, endingCodeMax, endingOf } from "../crdt/ending.ts";
import { isTimestamp } from "../crdt/hybrid-logical-clock.ts";
import { type ByteReader, ByteWriter, malformed } from "./bytes.ts";
import { type Json, readName, readValue, writeValue } from "./values.ts";

/** The version of all this; another one is refused. */
export const imageFormat = 1;

/** The first byte of a key says what the record is of; the number follows, big-endian. */
export const recordKinds = {
  meta: 0x4d,
  actor: 0x41,
  collection: 0x43,
  node: 0x4e,
  peer: 0x50,
} as const;
export type RecordKind = keyof typeof recordKinds;

/** First bytes of keys that others have in the same store: the lock store that is known, the authority that is hosted, rights. */
export const foreignKinds = { birth: 0x42, guard: 0x47, authority: 0x48, rights: 0x52 } as const;

/** The key of a record. */
export function recordKey(kind: RecordKind, number = 0): Uint8Array {
  const key = new Uint8Array(5);
  key[0] = recordKinds[kind];
  new DataView(key.buffer).setUint32(1, number);
  return key;
}

/** Keys of nodes, all in one array: each is there only until the next is asked for. */
export class NodeKeys {
  readonly #key = recordKey("node");
  readonly #view = new DataView(this.#key.buffer);

  of(node: number): Uint8Array {
    this.#view.setUint32(1, node);
    return this.#key;
  }
}

/** The number in a key. */
export function recordNumber(key: Uint8Array): number {
  if (key.length !== 5) return malformed(`a key of ${key.length} bytes`);
  return new DataView(key.buffer, key.byteOffset).getUint32(1);
}

/** About the whole store. */
export interface MetaRecord {
  /** No stamp that was published is larger. */
  readonly stampBound: number;
  /** Who writes here; absent once it has closed the store. */
  readonly writer: ActorId | undefined;
}

/** An actor that wrote. Numbers of actors are the store's own. */
export interface ActorRecord {
  readonly name: ActorId;
  readonly held: number;
  /** Removals up to here may be gone. */
  readonly floor: number;
  /** When it ended, if it is known to have. */
  readonly ending: Ending | undefined;
}

/** A collection, of the schema or of a peer's. */
export interface CollectionRecord {
  readonly name: string;
  readonly tag: string;
  readonly shape: Shape;
}

/** A peer, and how far it is. */
export interface PeerRecord {
  readonly name: string;
  /** When it was last linked, by the wall clock in ms. */
  readonly lastSeenMs: number;
  /** What it had for certain. */
  readonly acknowledged: readonly (readonly [actor: number, sequence: number])[];
}

/** One cell as it is stored. */
export interface CellRecord {
  readonly actor: number;
  readonly sequence: number;
  readonly isLive: boolean;
  readonly value: number;
  readonly payload: Json | undefined;
}

/** A node, before its cells. */
export interface NodeRecord {
  /** A node, or `~number` of a collection. */
  readonly parent: number;
  readonly name: Name;
}

/** Writes records, into one buffer that is used again and again. */
export class ImageWriter {
  readonly #out = new ByteWriter();

  meta({ stampBound, writer }: MetaRecord): Uint8Array {
    this.#out.reset();
    this.#out.varint(imageFormat);
    this.#out.varint(stampBound);
    this.#out.byte(writer === undefined ? 0 : 1);
    if (writer !== undefined) this.#out.raw(actorIdToBytes(writer));
    return this.#out.take();
  }

  actor({ name, held, floor, ending }: ActorRecord): Uint8Array {
    this.#out.reset();
    this.#out.raw(actorIdToBytes(name));
    this.#out.varint(held);
    this.#out.varint(floor);
    this.#out.varint(endingCode(ending));
    return this.#out.take();
  }

  collection({ name, tag, shape }: CollectionRecord): Uint8Array {
    this.#out.reset();
    this.#out.text(name);
    this.#out.text(tag);
    this.#out.text(JSON.stringify(describeShape(shape)));
    return this.#out.take();
  }

  peer({ name, lastSeenMs, acknowledged }: PeerRecord): Uint8Array {
    this.#out.reset();
    this.#out.text(name);
    this.#out.varint(lastSeenMs);
    this.#out.varint(acknowledged.length);
    for (const [actor, sequence] of acknowledged) {
      this.#out.varint(actor);
      this.#out.varint(sequence);
    }
    return this.#out.take();
  }

  /** Begins a node; its cells follow, then `view`. */
  node({ parent, name }: NodeRecord): void {
    this.#out.reset();
    this.#out.varint(parent < 0 ? ~parent * 2 : parent * 2 + 1);
    writeValue(name, this.#out);
  }

  cell(payload: Payload, cell: CellRecord): void {
    const out = this.#out;
    out.varint(cell.actor * 2 + (cell.isLive ? 1 : 0));
    out.varint(cell.sequence);
    if (!cell.isLive || payload === "mark") return;
    if (payload === "sum") writeValue(cell.value, out);
    else {
      out.varint(cell.value);
      writeValue(cell.payload ?? null, out);
    }
  }

  /** The node, only until the next record is begun. */
  view(): Uint8Array {
    const { buffer, byteOffset, length } = this.#out.view();
    // No Buffer: the `slice` of one is no copy.
    return new Uint8Array(buffer, byteOffset, length);
  }
}

/** @throws MalformedError for another format, or what is none. */
export function readMeta(from: ByteReader): MetaRecord {
  const format = from.varint();
  if (format !== imageFormat) malformed(`format ${format}; this version reads ${imageFormat}`);
  const stampBound = from.varint();
  if (!isTimestamp(stampBound)) malformed("a stamp that cannot be");
  const isOpen = from.bounded(1, "whether the store is open") === 1;
  const writer = isOpen ? actorIdFromBytes(from.raw(actorBytes)) : undefined;
  from.end();
  return { stampBound, writer };
}

/** @throws MalformedError */
export function readActor(from: ByteReader): ActorRecord {
  const name = actorIdFromBytes(from.raw(actorBytes));
  const held = from.bounded(sequenceMax, "a sequence");
  const floor = from.bounded(held, "a floor");
  const ending = endingOf(from.bounded(endingCodeMax, "an end"));
  from.end();
  return { name, held, floor, ending };
}

/** @throws MalformedError */
export function readCollection(from: ByteReader): CollectionRecord {
  const name = from.text(maxText);
  const tag = from.text(maxText);
  const shape = shapeOf(from.text(maxText));
  if (shape === undefined) malformed(`the shape of collection ${JSON.stringify(name)}`);
  from.end();
  return { name, tag, shape };
}

/** @throws MalformedError */
export function readPeer(from: ByteReader): PeerRecord {
  const name = from.text(maxText);
  const lastSeenMs = from.varint();
  const acknowledged: [number, number][] = [];
  for (let left = from.varint(); left > 0; left--) {
    acknowledged.push([from.varint(), from.bounded(sequenceMax, "a sequence")]);
  }
  from.end();
  return { name, lastSeenMs, acknowledged };
}

/** @throws MalformedError */
export function readNode(from: ByteReader): NodeRecord {
  const code = from.varint();
  const parent = code % 2 === 0 ? ~(code / 2) : (code - 1) / 2;
  return { parent, name: readName(from, from.byte()) };
}

/** @throws MalformedError */
export function readCell(payload: Payload, from: ByteReader): CellRecord {
  const head = from.varint();
  const isLive = head % 2 === 1;
  const actor = (head - (isLive ? 1 : 0)) / 2;
  const sequence = from.bounded(sequenceMax, "a sequence");
  const cell = { actor, sequence, isLive, value: 0, payload: undefined };
  if (!isLive || payload === "mark") return cell;
  if (payload === "sum") {
    const value = readValue(from);
    if (!Number.isSafeInteger(value)) malformed("a sum that is no integer");
    return { ...cell, value: value as number };
  }
  const value = from.varint();
  if (!isTimestamp(value)) malformed("a stamp that cannot be");
  return { ...cell, value, payload: readValue(from) };
}

const maxText = 64 * 1024;

function shapeOf(text: string): Shape | undefined {
  try {
    return parseShape(JSON.parse(text));
  } catch {
    return undefined;
  }
}
