/**
 * Reads frames that are not trusted. Everything is checked before any state is touched: a frame is
 * taken whole or not at all, since a slot left out of a frame that moves the vector would be a
 * deletion at everyone else.
 */
import { actorBytes, actorIdFromBytes, sequenceMax } from "../crdt/dot.ts";
import { readStamp } from "../crdt/hybrid-logical-clock.ts";
import { type Name, parseShape } from "../crdt/data-type.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import { ByteReader, malformed, utf8 } from "./bytes.ts";
import {
  actorNumberMax,
  actorsPerFrameMax,
  cellSameStamp,
  cellSequence,
  cellsReserved,
  flagComplete,
  flagLast,
  flagsKnown,
  nodeNumberMax,
  stateBare,
  stateHeld,
  stateLive,
  sumLow,
  sumMore,
  sumNegative,
} from "./frame.ts";
import type { Keyspace } from "./keyspace.ts";
import { type Container, childShape, type Root } from "./nodes.ts";
import type { NumbersTheyUse } from "./numbering.ts";
import { Rows } from "./rows.ts";
import { collectionsMax } from "./schema.ts";
import { elementBytesMax, keyBytesMax, readName, readValue } from "./values.ts";

/** Where the sender's vector moved, in our numbers: [actor, sequence, actor, sequence, …]. */
export type Moves = readonly number[];

/** The part of a frame before its body. */
export interface Head {
  readonly moves: Moves;
  /** Of a complete state that ends here. */
  readonly floor: Moves;
}

const none: Moves = [];

/** Reads the frames of one keyspace's links. Its buffers are used again and again. */
export class FrameReader {
  readonly #keyspace: Keyspace;
  readonly #in = new ByteReader();
  readonly rows: Rows = new Rows();
  /** As in the writer, by our number of the actor. */
  #sequences = new Int32Array(8);
  #rounds = new Int32Array(8);
  #round = 0;
  #stamp = -1;
  readonly #name = Buffer.alloc(elementBytesMax);
  #nameLength = 0;
  /** The actors of the slot before: the first so many. */
  readonly #before: number[] = [];
  #beforeCount = 0;

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  /** Opens a frame and reads its flags; `series`, `head` and `body` follow, in this order. */
  open(bytes: Uint8Array): number {
    this.#in.open(bytes);
    const flags = this.#in.byte();
    if ((flags & ~flagsKnown) !== 0) malformed(`flags ${flags}`);
    return flags;
  }

  /** The number of the series that the frame is of; frames that stand alone have none. */
  series(): number {
    return this.#in.varint();
  }

  /**
   * Reads what the frame names, into `names`, and where the sender's vector moved. While a series is
   * staged its numbers keep their meaning (`mayRename` is false): it is read again when it is whole.
   */
  head(flags: number, names: NumbersTheyUse, mayRename: boolean): Head {
    this.#rootNames(names);
    this.#actorNames(names);
    this.#nodeNames(names, mayRename);
    const moves = this.#moves(names);
    const ends = (flags & flagComplete) !== 0 && (flags & flagLast) !== 0;
    return { moves, floor: ends ? this.#moves(names) : none };
  }

  /** The body that is left, as a view of the frame. */
  rest(): Uint8Array {
    return this.#in.raw(this.#in.left);
  }

  /** Reads a body that `rest` gave. */
  reopen(body: Uint8Array): void {
    this.#in.open(body);
  }

  /** Reads the body into `rows`. `theirs` is the sender's vector, moves included. */
  body(names: NumbersTheyUse, theirs: VersionVector): Rows {
    const { rows } = this;
    rows.clear();
    this.#round++;
    this.#stamp = -1;
    this.#beforeCount = 0;
    let their = 0;
    for (let isFirst = true; this.#in.left > 0; isFirst = false) {
      const delta = this.#in.varint();
      if (!isFirst && delta === 0) malformed("a slot twice");
      their += delta;
      if (their > nodeNumberMax) malformed(`node ${their}`);
      const node = names.node(their);
      if (node < 0) malformed(`node ${their} has no name`);
      // Two of their numbers may mean one node of ours, but not side by side: it would be one slot.
      if (rows.count > 0 && rows.nodes[rows.count - 1] === node) malformed("a slot twice");
      this.#slot(node, names, theirs);
    }
    return rows;
  }

  // Names.

  #rootNames(names: NumbersTheyUse): void {
    for (let left = this.#in.bounded(collectionsMax, "the collections"); left > 0; left--) {
      const number = this.#in.bounded(collectionsMax, "a collection");
      const name = this.#in.text(keyBytesMax);
      const tag = this.#in.text(elementBytesMax);
      const shape = parseShape(json(this.#in.text(elementBytesMax)));
      if (shape === undefined) malformed(`the shape of collection ${JSON.stringify(name)}`);
      names.nameRoot(number, this.#keyspace.nodes.adopt(name, tag, shape).index);
    }
  }

  #actorNames(names: NumbersTheyUse): void {
    for (let left = this.#in.bounded(actorsPerFrameMax, "the actors"); left > 0; left--) {
      const number = this.#in.bounded(actorNumberMax, "an actor");
      const name = actorIdFromBytes(this.#in.raw(actorBytes));
      if (this.#in.byte() !== 0) malformed("a fact about an actor that version 1 does not know");
      if (!names.nameActor(number, this.#keyspace.actors.intern(name)))
        malformed("an actor renamed");
    }
  }

  #nodeNames(names: NumbersTheyUse, mayRename: boolean): void {
    let number = 0;
    let parent: Container | Root | undefined;
    let shared = 0;
    for (let left = this.#in.varint(); left > 0; left--) {
      const head = this.#in.varint();
      const zigzag = Math.floor(head / 2);
      number += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
      if (number < 0 || number > nodeNumberMax) malformed(`node ${number}`);
      if (head % 2 === 0) parent = this.#parent(names);
      if (parent === undefined) malformed("the first name has no parent");
      const kind = this.#in.byte();
      let name: Name;
      if (kind < 128) {
        name = readName(this.#in, kind);
      } else {
        if (kind - 128 > shared) malformed("a name shares more than there is");
        name = this.#sharedName(kind - 128);
        shared = this.#nameLength;
      }
      const node = this.#child(parent, name);
      const before = names.node(number);
      if (!mayRename && before >= 0 && before !== node) malformed(`node ${number} is renamed`);
      names.nameNode(number, node);
    }
  }

  #parent(names: NumbersTheyUse): Container | Root {
    const code = this.#in.varint();
    if (code % 2 === 0) {
      const index = names.root(code / 2);
      const root = index === undefined ? undefined : this.#keyspace.nodes.roots[index];
      return root ?? malformed(`collection ${code / 2} has no name`);
    }
    const node = names.node((code - 1) / 2);
    const container = node < 0 ? undefined : this.#keyspace.nodes.container(node);
    return container ?? malformed(`node ${(code - 1) / 2} cannot be a parent`);
  }

  /** The name that starts as the one before; what it shares is ASCII. */
  #sharedName(shared: number): string {
    const length = this.#in.bounded(elementBytesMax - shared, "the length of a name");
    const isAscii = this.#in.copy(this.#name, shared, length);
    this.#nameLength = shared + length;
    return isAscii && this.#isAscii(shared)
      ? this.#name.toString("latin1", 0, this.#nameLength)
      : utf8(this.#name.subarray(0, this.#nameLength));
  }

  #isAscii(length: number): boolean {
    for (let i = 0; i < length; i++) {
      if ((this.#name[i] as number) > 0x7f) return false;
    }
    return true;
  }

  #child(parent: Container | Root, name: Name): number {
    if ("keys" in parent) {
      if (typeof name !== "string" || !isKey(name)) return malformed("a key is no key");
      return this.#keyspace.key(parent, name);
    }
    if (childShape(parent.shape, name) === undefined) malformed("a name where none can be");
    if (parent.shape.kind === "items" && parent.shape.names === "string" && !isKey(String(name))) {
      malformed("a field is too long");
    }
    return this.#keyspace.child(parent, name);
  }

  #moves(names: NumbersTheyUse): Moves {
    const moves: number[] = [];
    for (let left = this.#in.bounded(actorsPerFrameMax, "the vector"); left > 0; left--) {
      const actor = names.actor(this.#in.varint());
      if (actor < 0) malformed("the vector has an actor without a name");
      moves.push(actor, this.#in.bounded(sequenceMax, "a sequence"));
    }
    return moves;
  }

  // Slots.

  #slot(node: number, names: NumbersTheyUse, theirs: VersionVector): void {
    const { nodes } = this.#keyspace;
    if (nodes.isContainer(node)) malformed("cells where names are");
    const payload = nodes.payload(node);
    const count = this.#in.varint();
    const same = count === 0;
    if (count === cellsReserved) malformed("a kind of slot that version 1 does not know");
    if (same && this.#beforeCount === 0) malformed("the first slot has no actors");
    if (count > this.#in.left + 1) malformed("more cells than there are bytes");
    if (!same) this.#beforeCount = count - 1;
    let their = 0;
    for (let i = 0; i < this.#beforeCount; i++) {
      if (!same) {
        const delta = this.#in.varint();
        if (i > 0 && delta === 0) malformed("an actor twice in a slot");
        their += delta;
        this.#before[i] = names.actor(their);
      }
      const actor = this.#before[i] as number;
      if (actor < 0) malformed("a cell of an actor without a name");
      if (payload === "sum") this.#sum(node, actor, theirs);
      else this.#dotted(node, actor, payload === "stamped", theirs);
    }
  }

  #sum(node: number, actor: number, theirs: VersionVector): void {
    const head = this.#in.byte();
    const low = (head >> 2) & (sumLow - 1);
    const amount = (head & sumMore) === 0 ? low : this.#in.varint() * sumLow + low;
    const sequence = this.#sequence(actor, head, theirs);
    if (!Number.isSafeInteger(amount)) malformed("a sum beyond the safe integers");
    const value = (head & sumNegative) === 0 ? amount : -amount;
    this.#row(node, actor, sequence, stateLive, value);
  }

  #dotted(node: number, actor: number, stamped: boolean, theirs: VersionVector): void {
    const head = this.#in.byte();
    const state = (head >> 1) & 3;
    if (head > 15 || state > stateHeld) malformed(`cell ${head}`);
    if (state === stateBare && (head & cellSameStamp) !== 0) malformed("a removal with a stamp");
    const sequence = this.#sequence(actor, head, theirs);
    if (!stamped || state !== stateLive) {
      if ((head & cellSameStamp) !== 0) malformed("a stamp where none can be");
      this.#row(node, actor, sequence, state, 0);
      return;
    }
    if ((head & cellSameStamp) === 0) this.#stamp = this.#readStamp();
    if (this.#stamp < 0) malformed("the first stamp is missing");
    const value = readValue(this.#in);
    this.rows.payloads[this.#row(node, actor, sequence, state, this.#stamp)] = value;
  }

  #readStamp(): number {
    const bytes = this.#in.raw(8);
    try {
      return readStamp(bytes);
    } catch (error) {
      return malformed(error instanceof Error ? error.message : "not a stamp");
    }
  }

  #sequence(actor: number, head: number, theirs: VersionVector): number {
    if (actor >= this.#rounds.length) this.#grow(actor);
    const known = this.#rounds[actor] === this.#round;
    const before = known ? (this.#sequences[actor] as number) : theirs.at(actor);
    if ((head & cellSequence) === 0) {
      this.#rounds[actor] = this.#round;
      this.#sequences[actor] = before;
      if (before < 1) malformed("a cell that the sender's vector does not cover");
      return before;
    }
    const sequence = theirs.at(actor) - this.#in.varint();
    if (sequence < 1) malformed("a sequence below 1");
    if (known && sequence < before) this.rows.ordered = false;
    this.#rounds[actor] = this.#round;
    this.#sequences[actor] = sequence;
    return sequence;
  }

  #row(node: number, actor: number, sequence: number, state: number, value: number): number {
    const { rows } = this;
    const row = rows.count++;
    if (row === rows.nodes.length) rows.grow();
    rows.nodes[row] = node;
    rows.actors[row] = actor;
    rows.sequences[row] = sequence;
    rows.states[row] = state;
    rows.values[row] = value;
    return row;
  }

  #grow(actor: number): void {
    const size = Math.max(actor + 1, this.#rounds.length * 2);
    const sequences = new Int32Array(size);
    sequences.set(this.#sequences);
    this.#sequences = sequences;
    const rounds = new Int32Array(size);
    rounds.set(this.#rounds);
    this.#rounds = rounds;
  }
}

const isKey = (name: string): boolean =>
  name.length * 3 <= keyBytesMax || Buffer.byteLength(name) <= keyBytesMax;

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return malformed("a shape that is not JSON");
  }
}
