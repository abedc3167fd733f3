/** Writes frames: what the link was not told yet, then the body that many links may share. */
import { actorIdToBytes } from "../crdt/dot.ts";
import { noCell } from "../crdt/cells.ts";
import { describeShape, type Name } from "../crdt/data-type.ts";
import { writeStamp } from "../crdt/hybrid-logical-clock.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import { ByteWriter } from "./bytes.ts";
import {
  cellSameStamp,
  cellSequence,
  stateBare,
  stateHeld,
  stateLive,
  sumLow,
  sumMore,
  sumNegative,
} from "./frame.ts";
import type { Keyspace } from "./keyspace.ts";
import type { NamedNumbers } from "./numbering.ts";
import { type Json, writeValue } from "./values.ts";

/** A body, and what a link must have named before it can be read. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly nodes: Int32Array;
  readonly actors: readonly number[];
  /** Slots that fitted: fewer than asked for only if `bytesMax` was reached. */
  readonly slots: number;
}

/** Actors with their sequences. */
export type Entries = readonly (readonly [actor: number, sequence: number])[];

/** What of a frame is the link's own. */
export interface LinkPart {
  readonly named: NamedNumbers;
  /** Where our vector moved since the link's last frame. */
  readonly vector: Entries;
  /** The series that the frame is of, if it is not alone. */
  readonly series?: number;
  /** At the end of a complete state. */
  readonly floor?: VersionVector;
}

/** Writes the frames of one keyspace. Its buffers are used again and again. */
export class FrameWriter {
  readonly #keyspace: Keyspace;
  readonly #out = new ByteWriter();
  /** The sequence that stands for each actor unless one is said; valid where `#round` is now. */
  #sequences = new Int32Array(8);
  #rounds = new Int32Array(8);
  #round = 0;
  #actors: number[] = [];
  #stamp = -1;
  readonly #stampBytes = new Uint8Array(8);
  /** The cells of the slot at hand, and the actors of the slot before: the first so many of each. */
  readonly #chain: number[] = [];
  #chained = 0;
  readonly #before: number[] = [];
  #beforeCount = 0;

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  /** The slots `nodes` (ascending) as a peer at `from` needs them, until `bytesMax` is reached. */
  body(nodes: Int32Array, from: VersionVector, bytesMax: number): Body {
    const out = this.#out;
    out.reset();
    this.#begin();
    let before = 0;
    let slots = 0;
    // A link that was not told the names yet gets them in the same frame.
    let nameBytes = 0;
    while (slots < nodes.length && out.length + nameBytes <= bytesMax) {
      const node = nodes[slots++] as number;
      const name = this.#keyspace.nodes.name(node);
      if (typeof name === "string") nameBytes += name.length;
      if (this.#slot(node, node - before, from)) before = node;
    }
    return { bytes: out.take(), nodes: nodes.slice(0, slots), actors: this.#actors, slots };
  }

  /** A whole frame: the flags, what the link was not told yet, the body. */
  frame(flags: number, body: Body, link: LinkPart): Uint8Array {
    const out = this.#out;
    out.reset();
    out.byte(flags);
    if (link.series !== undefined) out.varint(link.series);
    const floor = link.floor ? [...link.floor.entries()] : undefined;
    const fresh: number[] = [];
    for (const actor of body.actors) this.#unnamed(actor, link.named, fresh);
    for (const [actor] of link.vector) this.#unnamed(actor, link.named, fresh);
    for (const [actor] of floor ?? []) this.#unnamed(actor, link.named, fresh);
    this.#names(body.nodes, fresh, link.named);
    this.#vector(link.vector);
    if (floor) this.#vector(floor);
    out.raw(body.bytes);
    return out.take();
  }

  #vector(entries: Entries): void {
    this.#out.varint(entries.length);
    for (const [actor, sequence] of entries) {
      this.#out.varint(actor);
      this.#out.varint(sequence);
    }
  }

  // Names.

  #unnamed(actor: number, named: NamedNumbers, into: number[]): void {
    if (named.actors.has(actor)) return;
    named.actors.add(actor);
    into.push(actor);
  }

  #names(nodes: Int32Array, actors: readonly number[], named: NamedNumbers): void {
    const fresh: number[] = [];
    const roots: number[] = [];
    for (let i = 0; i < nodes.length; i++) {
      this.#collect(nodes[i] as number, named, fresh, roots);
    }
    this.#rootNames(roots);
    this.#actorNames(actors);
    this.#nodeNames(fresh);
  }

  /** Parents come before their children. */
  #collect(node: number, named: NamedNumbers, fresh: number[], roots: number[]): void {
    if (named.nodes.has(node)) return;
    named.nodes.add(node);
    const parent = this.#keyspace.nodes.parent(node);
    if (parent >= 0) this.#collect(parent, named, fresh, roots);
    else if (!named.roots.has(~parent)) {
      named.roots.add(~parent);
      roots.push(~parent);
    }
    fresh.push(node);
  }

  #rootNames(roots: readonly number[]): void {
    this.#out.varint(roots.length);
    for (const index of roots) {
      const root = this.#keyspace.nodes.roots[index];
      if (root === undefined) throw new Error(`assertion: collection ${index} is gone`);
      this.#out.varint(index);
      this.#out.text(root.name);
      this.#out.text(root.tag);
      this.#out.text(JSON.stringify(describeShape(root.shape)));
    }
  }

  #actorNames(actors: readonly number[]): void {
    this.#out.varint(actors.length);
    for (const actor of actors) {
      this.#out.varint(actor);
      this.#out.raw(actorIdToBytes(this.#keyspace.actors.name(actor)));
      this.#out.byte(0);
    }
  }

  #nodeNames(nodes: readonly number[]): void {
    const out = this.#out;
    out.varint(nodes.length);
    let before = 0;
    let parentBefore: number | undefined;
    let nameBefore = "";
    for (const node of nodes) {
      const distance = node - before;
      const parent = this.#keyspace.nodes.parent(node);
      const same = parent === parentBefore;
      out.varint((distance < 0 ? -2 * distance - 1 : 2 * distance) * 2 + (same ? 1 : 0));
      if (!same) out.varint(parent < 0 ? ~parent * 2 : parent * 2 + 1);
      nameBefore = this.#name(this.#keyspace.nodes.name(node), nameBefore);
      before = node;
      parentBefore = parent;
    }
  }

  /** Writes the name, sharing the start with the name before; returns what the next may share. */
  #name(name: Name, before: string): string {
    if (typeof name !== "string") {
      writeValue(name, this.#out);
      return before;
    }
    const most = Math.min(name.length, before.length, 127);
    let shared = 0;
    while (shared < most) {
      const code = name.charCodeAt(shared);
      if (code > 0x7f || code !== before.charCodeAt(shared)) break;
      shared++;
    }
    this.#out.byte(128 + shared);
    this.#out.text(shared === 0 ? name : name.slice(shared));
    return name;
  }

  // Slots.

  #begin(): void {
    this.#round++;
    this.#actors = [];
    this.#stamp = -1;
    this.#beforeCount = 0;
  }

  #slot(node: number, delta: number, from: VersionVector): boolean {
    const { cells, nodes } = this.#keyspace;
    const sum = nodes.isSum(node);
    this.#chained = 0;
    for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
      const known = cells.sequence(cell) <= from.at(cells.actor(cell));
      // What the peer knows needs no saying, but for a live cell that would else count as removed.
      if (!known || (!sum && cells.isLive(cell))) this.#insert(cell);
    }
    if (this.#chained === 0) return false;
    this.#out.varint(delta);
    this.#cells(sum, nodes.payload(node) === "stamped", from);
    return true;
  }

  /** Keeps the chain in the order of actors. */
  #insert(cell: number): void {
    const { cells } = this.#keyspace;
    const chain = this.#chain;
    const actor = cells.actor(cell);
    let at = this.#chained++;
    while (at > 0 && cells.actor(chain[at - 1] as number) > actor) {
      chain[at] = chain[at - 1] as number;
      at--;
    }
    chain[at] = cell;
  }

  #cells(sum: boolean, stamped: boolean, from: VersionVector): void {
    const same = this.#sameActors();
    this.#out.varint(same ? 0 : this.#chained + 1);
    let before = 0;
    for (let i = 0; i < this.#chained; i++) {
      const cell = this.#chain[i] as number;
      const actor = this.#keyspace.cells.actor(cell);
      if (!same) {
        this.#out.varint(actor - before);
        before = actor;
      }
      if (sum) this.#sum(cell, actor);
      else this.#dotted(cell, actor, stamped, from);
    }
  }

  #sameActors(): boolean {
    const { cells } = this.#keyspace;
    let same = this.#beforeCount === this.#chained;
    for (let i = 0; i < this.#chained; i++) {
      const actor = cells.actor(this.#chain[i] as number);
      same &&= this.#before[i] === actor;
      this.#before[i] = actor;
    }
    this.#beforeCount = this.#chained;
    return same;
  }

  /** Whether the cell's sequence must be said; notes it for the actor's next cell. */
  #isNews(actor: number, sequence: number): boolean {
    if (actor >= this.#rounds.length) this.#grow(actor);
    if (this.#rounds[actor] !== this.#round) {
      this.#rounds[actor] = this.#round;
      this.#sequences[actor] = this.#keyspace.held.at(actor);
      this.#actors.push(actor);
    }
    if (this.#sequences[actor] === sequence) return false;
    this.#sequences[actor] = sequence;
    return true;
  }

  /** Sequences are said as the distance below the sender's vector. */
  #sequence(actor: number, sequence: number): void {
    this.#out.varint(this.#keyspace.held.at(actor) - sequence);
  }

  #sum(cell: number, actor: number): void {
    const { cells } = this.#keyspace;
    const sequence = cells.sequence(cell);
    const value = cells.value(cell);
    const amount = Math.abs(value);
    const news = this.#isNews(actor, sequence);
    const head =
      (news ? cellSequence : 0) | (value < 0 ? sumNegative : 0) | ((amount % sumLow) << 2);
    this.#out.byte(amount < sumLow ? head : head | sumMore);
    if (amount >= sumLow) this.#out.varint(Math.floor(amount / sumLow));
    if (news) this.#sequence(actor, sequence);
  }

  #dotted(cell: number, actor: number, stamped: boolean, from: VersionVector): void {
    const { cells } = this.#keyspace;
    const sequence = cells.sequence(cell);
    const news = this.#isNews(actor, sequence);
    const live = cells.isLive(cell);
    const state = live ? (sequence <= from.at(actor) ? stateHeld : stateLive) : stateBare;
    const stamp = cells.value(cell);
    const told = stamped && state === stateLive;
    const sameStamp = told && stamp === this.#stamp;
    this.#out.byte((news ? cellSequence : 0) | (state << 1) | (sameStamp ? cellSameStamp : 0));
    if (news) this.#sequence(actor, sequence);
    if (!told) return;
    if (!sameStamp) {
      writeStamp(stamp, this.#stampBytes);
      this.#out.raw(this.#stampBytes);
    }
    this.#stamp = stamp;
    writeValue(cells.payload(cell) as Json, this.#out);
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
