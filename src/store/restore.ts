/**
 * Reads a store into an empty keyspace. Nothing is trusted that a checksum does not cover: what cannot
 * be is `CorruptStorageError`, with the record that says it. Nothing is checked against today's clock.
 * Memory beyond the state itself: a page of records, and nodes that come before their parents.
 */
import { noCell } from "../crdt/cells.ts";
import type { ActorId } from "../crdt/dot.ts";
import { endingCode } from "../crdt/ending.ts";
import { VersionVector } from "../crdt/version-vector.ts";
import type { Environment } from "../environment.ts";
import { CorruptStorageError } from "../errors.ts";
import { ByteReader, malformed, MalformedError } from "./bytes.ts";
import { fork } from "./fork.ts";
import { nodeNumberMax } from "./frame.ts";
import {
  type NodeRecord,
  readActor,
  readCell,
  readCollection,
  readMeta,
  readNode,
  recordKey,
  readPeer,
  recordKinds,
  type RecordKind,
  recordNumber,
} from "./image.ts";
import { noStoredNumbers, type StoredNumbers } from "./journal.ts";
import type { KnownPeer } from "./known-peer.ts";
import type { Keyspace } from "./keyspace.ts";
import { childShape, type Container, type Root } from "./nodes.ts";
import type { StorageEngine, StoredRecord } from "./storage.ts";
import { exactTotal } from "./sums.ts";
import { UnorderedCells } from "./unordered-cells.ts";

/** What was read, told now and then while it takes long. */
export interface RestoreProgress {
  readonly records: number;
}

/** What restoring needs. */
export interface RestoreOptions {
  readonly keyspace: Keyspace;
  readonly engine: StorageEngine;
  readonly environment: Environment;
  readonly onProgress?: (progress: RestoreProgress) => void;
}

/** What a store has besides a keyspace. */
export interface Restored {
  /** How it numbers things. */
  readonly numbers: StoredNumbers;
  /** The peers that were known, and how far they were. */
  readonly peers: readonly KnownPeer[];
  /** The number of the actor that wrote it last, if anything of it is held. */
  readonly writer: number | undefined;
  /** Whether who wrote here last did not close the store: peers may have more of what it wrote. */
  readonly hasCrashed: boolean;
  /** Whether nothing was stored: it is new, or was lost. */
  readonly isEmpty: boolean;
}

interface Orphan {
  readonly number: number;
  readonly record: NodeRecord;
  readonly cells: Uint8Array;
}

/**
 * Reads all records.
 * @throws CorruptStorageError, and whatever the engine throws; the keyspace is of no use then.
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const reading = new Reading(options);
  await reading.each("meta", (_, from) => reading.meta(from));
  await reading.each("actor", (number, from) => reading.actor(number, from));
  await reading.each("collection", (number, from) => reading.collection(number, from));
  await reading.each("node", (number, from) => reading.node(number, from));
  const peers: KnownPeer[] = [];
  await reading.each("peer", (number, from) => peers.push(reading.peer(number, from)));
  const numbers = reading.end();
  const { hasCrashed, isEmpty, writer } = reading;
  return { numbers, peers, hasCrashed, isEmpty, writer };
}

class Reading {
  readonly #options: RestoreOptions;
  readonly #keyspace: Keyspace;
  readonly #numbers = noStoredNumbers();
  /** Ours, by the store's numbers. */
  readonly #actors: number[] = [];
  readonly #collections: Root[] = [];
  readonly #unordered = new UnorderedCells();
  /** By the parent that they wait for. */
  readonly #orphans = new Map<number, Orphan[]>();
  #writer: ActorId | undefined;
  #records = 0;

  constructor(options: RestoreOptions) {
    this.#options = options;
    this.#keyspace = options.keyspace;
  }

  /** Reads all records of a kind, page by page. */
  async each(kind: RecordKind, read: (number: number, from: ByteReader) => void): Promise<void> {
    const { engine, environment, onProgress } = this.#options;
    const after = Uint8Array.of(recordKinds[kind] + 1);
    const from = new ByteReader();
    for await (const page of engine.read(Uint8Array.of(recordKinds[kind]), after)) {
      for (const record of page) this.#read(kind, record, from, read);
      this.#records += page.length;
      onProgress?.({ records: this.#records });
      // A page is a few ms of work; others may go on meanwhile.
      await new Promise<void>((resolve) => environment.defer(resolve));
    }
  }

  #read(
    kind: RecordKind,
    { key, value }: StoredRecord,
    from: ByteReader,
    read: (number: number, from: ByteReader) => void,
  ): void {
    try {
      from.open(value);
      read(recordNumber(key), from);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      const { location } = this.#options.engine;
      const name = `${kind} ${key.length === recordKey(kind).length ? recordNumber(key) : "?"}`;
      throw new CorruptStorageError(
        `${location}: the record of ${name} is damaged (${error.message}); nothing was loaded. ` +
          `Restore a backup, or rebuild from peers: trellis repair ${location}`,
        { path: location, cause: error },
      );
    }
  }

  meta(from: ByteReader): void {
    const { stampBound, writer } = readMeta(from);
    this.#keyspace.clock.resume(stampBound);
    this.#writer = writer;
  }

  actor(number: number, from: ByteReader): void {
    const { actors, held, retention, endings } = this.#keyspace;
    const record = readActor(from);
    // Randomness that repeats itself must not make us who we were.
    if (record.name === this.#keyspace.actor) fork(this.#keyspace, this.#keyspace.newActor());
    const actor = actors.intern(record.name);
    if (held.at(actor) > 0) malformed("an actor that is there twice");
    this.#actors[number] = actor;
    while (this.#numbers.actors.length <= actor) {
      this.#numbers.actors.push(-1);
      this.#numbers.endings.push(0);
    }
    this.#numbers.actors[actor] = number;
    held.raise(actor, record.held);
    retention.floor.raise(actor, record.floor);
    this.#numbers.written.raise(actor, record.held);
    this.#numbers.floor.raise(actor, record.floor);
    actors.changed(actor);
    if (record.ending) endings.learn(record.name, record.ending);
    this.#numbers.endings[actor] = endingCode(record.ending);
  }

  collection(number: number, from: ByteReader): void {
    const { name, tag, shape } = readCollection(from);
    const root = this.#keyspace.nodes.adopt(name, tag, shape);
    this.#collections[number] = root;
    while (this.#numbers.collections.length <= root.index) this.#numbers.collections.push(-1);
    this.#numbers.collections[root.index] = number;
  }

  node(number: number, from: ByteReader): void {
    if (number < 1 || number > nodeNumberMax) malformed("a number that no node has");
    const record = readNode(from);
    const parent = this.#parent(record.parent);
    if (parent !== undefined) return this.#add(number, record, parent, from);
    const cells = from.raw(from.left).slice();
    const waiting = this.#orphans.get(record.parent) ?? [];
    waiting.push({ number, record, cells });
    this.#orphans.set(record.parent, waiting);
  }

  peer(number: number, from: ByteReader): KnownPeer {
    const record = from.raw(from.left).slice();
    const { name, lastSeenMs, acknowledged } = readPeer(new ByteReader(record));
    const vector = new VersionVector();
    for (const [stored, sequence] of acknowledged) {
      const actor = this.#actors[stored] ?? malformed(`actor ${stored} is missing`);
      vector.raise(actor, sequence);
    }
    this.#numbers.peers.set(name, { number, record });
    return { name, lastSeenMs, acknowledged: vector };
  }

  get hasCrashed(): boolean {
    return this.#writer !== undefined;
  }

  get isEmpty(): boolean {
    return this.#records === 0;
  }

  /** @throws CorruptStorageError when a node has no parent. */
  end(): StoredNumbers {
    const { nodes, names, cells, held } = this.#keyspace;
    for (const [parent] of this.#orphans) {
      const { location } = this.#options.engine;
      throw new CorruptStorageError(
        `${location}: the record of node ${parent}, which others are under, is missing; nothing ` +
          `was loaded. Restore a backup, or rebuild from peers: trellis repair ${location}`,
        { path: location },
      );
    }
    nodes.restored();
    for (let node = 1; node < nodes.limit; node++) {
      // It was kept for a link that is gone.
      if (nodes.isUsed(node) && nodes.isEmpty(node)) names.emptied(node);
    }
    this.#unordered.moveTo(cells, held);
    this.#endWriter();
    return this.#numbers;
  }

  /** The number of who wrote here last. */
  get writer(): number | undefined {
    return this.#writer === undefined ? undefined : this.#keyspace.actors.find(this.#writer);
  }

  /** Who wrote here last, and did not close the store, has crashed. */
  #endWriter(): void {
    if (this.#writer === undefined) return;
    const { actors, held, endings } = this.#keyspace;
    const writer = actors.find(this.#writer);
    const at = writer === undefined ? 0 : held.at(writer);
    endings.learn(this.#writer, { at, isFinal: false });
  }

  #parent(number: number): Root | Container | undefined {
    if (number < 0) {
      return this.#collections[~number] ?? malformed(`collection ${~number} is missing`);
    }
    const { nodes } = this.#keyspace;
    if (!nodes.isUsed(number)) return undefined;
    return nodes.container(number) ?? malformed(`node ${number} cannot be a parent`);
  }

  #add(number: number, record: NodeRecord, parent: Root | Container, from: ByteReader): void {
    const { nodes } = this.#keyspace;
    const { name } = record;
    if (nodes.isUsed(number)) malformed("a node that is there twice");
    const shape = "keys" in parent ? parent.shape : childShape(parent.shape, name);
    if (shape === undefined) malformed("a name where none can be");
    if (("keys" in parent ? parent.keys : parent.children).has(name)) malformed("a name twice");
    nodes.restore(number, parent, name, shape);
    this.#numbers.nodes.add(number);
    if (shape.kind === "leaf") this.#cells(number, from);
    from.end();
    this.#adopt(number);
  }

  /** Nodes that waited for this one. */
  #adopt(parent: number): void {
    const orphans = this.#orphans.get(parent);
    if (orphans === undefined) return;
    this.#orphans.delete(parent);
    const container = this.#keyspace.nodes.container(parent);
    if (container === undefined) malformed(`node ${parent} cannot be a parent`);
    for (const { number, record, cells } of orphans) {
      this.#add(number, record, container, new ByteReader(cells));
    }
  }

  #cells(node: number, from: ByteReader): void {
    const { nodes, cells, clock, held, retention } = this.#keyspace;
    const payload = nodes.payload(node);
    let live = 0;
    while (from.left > 0) {
      const record = readCell(payload, from);
      const actor = this.#actors[record.actor] ?? malformed(`actor ${record.actor} is missing`);
      if (record.sequence < 1 || record.sequence > held.at(actor)) {
        malformed("a cell that the vector does not cover");
      }
      if (cells.find(node, actor) !== noCell) malformed("an actor twice in a slot");
      const cell = cells.add(node, actor, record.isLive);
      cells.setValue(cell, record.value);
      cells.setSequence(cell, record.sequence);
      if (record.payload !== undefined) {
        cells.setPayload(cell, record.payload);
        clock.receive(record.value);
      }
      this.#unordered.push(actor, cell);
      if (record.isLive) live++;
      else retention.keep(cell, record.sequence);
    }
    if (nodes.head(node) === noCell) malformed("a slot without cells");
    nodes.setTotal(node, nodes.isSum(node) ? exactTotal(nodes, cells, node) : live);
    if (live > 0) nodes.countLive(node, 1);
  }
}
