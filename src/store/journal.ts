/**
 * Keeps what is in memory on a disk. Nothing is queued: what changed since the last write is a set of
 * nodes, and a write has their present content together with the vector that covers it, atomically. So
 * a slow disk costs fewer, larger writes, and whatever is found after a crash was the state once.
 */
import { noCell } from "../crdt/cells.ts";
import type { ActorId } from "../crdt/dot.ts";
import { endingCode } from "../crdt/ending.ts";
import { stampsPerMs } from "../crdt/hybrid-logical-clock.ts";
import { VersionVector } from "../crdt/version-vector.ts";
import type { Environment, Timer } from "../environment.ts";
import { ImageWriter, type MetaRecord, NodeKeys, recordKey } from "./image.ts";
import type { Keyspace } from "./keyspace.ts";
import type { KeyspaceListener } from "./keyspace-listener.ts";
import type { KnownPeer } from "./known-peer.ts";
import { NumberSet } from "./numbering.ts";
import { PeerRecords, type StoredPeer } from "./peer-records.ts";
import type { StorageEngine, WriteBatch } from "./storage.ts";
import type { Json } from "./values.ts";

/** When the disk is waited for. */
export type FsyncPolicy = "always" | "interval" | "never";

/** What a journal is made of. */
export interface JournalOptions {
  readonly keyspace: Keyspace;
  readonly engine: StorageEngine;
  readonly environment: Environment;
  readonly fsync: FsyncPolicy;
  /** Between two writes, in ms, unless somebody waits for one. */
  readonly intervalMs: number;
  readonly numbers: StoredNumbers;
  /** How far peers are. */
  readonly peers: () => readonly KnownPeer[];
  /** A write came to an end, or failed. */
  readonly onChange: () => void;
}

/** How the store numbers actors and collections, by our own numbers; -1 for what it does not have. */
export interface StoredNumbers {
  readonly actors: number[];
  readonly collections: number[];
  /** Nodes that have a record, or may have one. */
  readonly nodes: NumberSet;
  /** What the records hold, synced or not. */
  readonly written: VersionVector;
  readonly floor: VersionVector;
  /** Peers, by name. */
  readonly peers: Map<string, StoredPeer>;
  /** Codes of the endings that are there, by our own numbers of actors. */
  readonly endings: number[];
}

/** Of a store that has nothing yet. */
export const noStoredNumbers = (): StoredNumbers => ({
  actors: [],
  collections: [],
  nodes: new NumberSet(),
  written: new VersionVector(),
  floor: new VersionVector(),
  peers: new Map(),
  endings: [],
});

/** Nodes, and bytes, encoded before the event loop goes on; 2 ms or so. */
const sliceNodes = 1_000;
const sliceBytes = 64 * 1024;
/**
 * How often a write may take as many slices as it would if nothing changed meanwhile, before the rest is
 * taken at once: writers may be as fast as we are.
 */
const slicesShareMax = 2;
/** How far ahead of the clock the bound of stamps is written, in ms: a small part of what peers accept. */
const boundAheadMsMax = 2_000;
const boundShare = 1 / 8;
/** Before a write that failed is tried again, in ms: doubled each time, up to the second. */
const retryMsMin = 100;
const retryMsMax = 10_000;

/** How much is encoded at a time, about. */
interface Slice {
  readonly nodes: number;
  readonly bytes: number;
}

const everything: Slice = { nodes: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };

/** What a batch has, to be written again if it fails. */
interface Taken {
  readonly nodes: number[];
  readonly collections: number[];
}

/** Writes one keyspace to one store. */
export class Journal implements KeyspaceListener {
  readonly #options: JournalOptions;
  readonly #writer = new ImageWriter();
  readonly #keys = new NodeKeys();
  readonly #dirty = new NumberSet();
  #changed: number[] = [];
  readonly #peers: PeerRecords;
  /** Whether an actor has ended, and its record does not say so yet. */
  #hasEndings = false;
  /** What the disk has: what was synced, and what was found there. */
  readonly durable: VersionVector;
  /** What the disk has about the whole store, if we wrote that. */
  #meta: MetaRecord = { stampBound: 0, writer: undefined };
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #isAsked = false;
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #retryMs = retryMsMin;
  /** Why the last write failed; undefined when it did not. */
  failure: Error | undefined;
  /** Writes that came to an end, well or not. */
  attempts = 0;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.durable = options.numbers.written.clone();
    this.#peers = new PeerRecords({
      environment: options.environment,
      peers: options.peers,
      stored: options.numbers.peers,
      writer: this.#writer,
      actorNumber: (actor) =>
        options.keyspace.held.at(actor) > 0 ? this.#actor(actor) : undefined,
    });
    options.keyspace.listeners.add(this);
  }

  /** Nodes that changed since they were written. */
  get pending(): number {
    return this.#changed.length;
  }

  // What changed.

  flushed(): void {
    for (const node of this.#options.keyspace.lastBatch()) this.#mark(node);
    this.#writeLater();
  }

  joined(nodes: readonly number[]): void {
    for (const node of nodes) this.#mark(node);
    this.#writeLater();
  }

  forgot(node: number): void {
    this.#mark(node);
    this.#writeLater();
  }

  actorEnded(actor: ActorId): void {
    const { actors, held } = this.#options.keyspace;
    const number = actors.find(actor);
    if (number === undefined || held.at(number) === 0) return;
    this.#hasEndings = true;
    this.#writeLater();
  }

  /** Somebody waits until what is held now is on the disk. At the end of the turn, for all who ask in it. */
  ask(): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#options.environment.defer(() => this.#start());
  }

  /** Writes what is left and closes the store. @throws StorageError when that could not be written. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#running;
    this.#options.keyspace.listeners.delete(this);
    try {
      const isDurable = this.durable.covers(this.#options.keyspace.held);
      const isChanged = this.#meta.writer !== undefined || this.#peers.isChanged;
      if (this.#hasWork() || !isDurable || isChanged) await this.#write(true);
    } finally {
      await this.#options.engine.close();
    }
  }

  #mark(node: number): void {
    if (this.#dirty.has(node)) return;
    this.#dirty.add(node);
    this.#changed.push(node);
  }

  #hasWork(): boolean {
    const { keyspace, numbers } = this.#options;
    return this.#changed.length > 0 || this.#hasEndings || !numbers.written.covers(keyspace.held);
  }

  // When.

  #writeLater(): void {
    const { fsync, intervalMs, environment } = this.#options;
    if (this.#timer !== undefined || this.#running !== undefined || this.#isClosed) return;
    const delayMs = fsync === "always" ? 0 : intervalMs;
    this.#timer = environment.schedule(delayMs, () => this.#start());
  }

  #start(): void {
    if (this.#running !== undefined || this.#isClosed) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isClosed) return;
      // Also when all is written: what failed then was to synchronise it.
      if (this.failure !== undefined) this.#retry();
      else if (this.#hasWork()) this.#writeLater();
    });
  }

  #retry(): void {
    this.#timer = this.#options.environment.schedule(this.#retryMs, () => this.#start());
    this.#retryMs = Math.min(this.#retryMs * 2, retryMsMax);
  }

  async #run(): Promise<void> {
    do {
      const isAsked = this.#isAsked;
      this.#isAsked = false;
      try {
        await this.#write(isAsked || this.#options.fsync !== "never");
        this.failure = undefined;
        this.#retryMs = retryMsMin;
      } catch (error) {
        this.failure = error instanceof Error ? error : new Error(String(error));
      }
      this.attempts++;
      this.#options.onChange();
    } while (this.#isAsked && this.failure === undefined);
    // Who asked meanwhile was told of the failure.
    this.#isAsked = false;
  }

  // What.

  async #write(sync: boolean): Promise<void> {
    const batch = this.#options.engine.batch();
    const taken: Taken = { nodes: [], collections: [] };
    try {
      const nodesMax = Math.max(this.#changed.length, sliceNodes) * slicesShareMax;
      for (;;) {
        this.#putNodes(batch, taken, { nodes: sliceNodes, bytes: sliceBytes });
        if (this.#changed.length === 0 || taken.nodes.length > nodesMax) break;
        await new Promise<void>((resolve) => this.#options.environment.defer(resolve));
      }
      await this.#finish(batch, taken, sync);
    } catch (error) {
      batch.discard();
      for (const node of taken.nodes) {
        this.#mark(node);
        // Its record may be there still, to be deleted by the next write.
        this.#options.numbers.nodes.add(node);
      }
      for (const index of taken.collections) this.#options.numbers.collections[index] = -1;
      throw error;
    }
  }

  /** What is left, and the vector that covers it, in one step: nothing may happen in between. */
  async #finish(batch: WriteBatch, taken: Taken, sync: boolean): Promise<void> {
    const { keyspace, numbers } = this.#options;
    this.#putNodes(batch, taken, everything);
    const endings = this.#putActors(batch);
    const meta = this.#putMeta(batch);
    const hasPeers = this.#isClosed || this.#peers.isDue;
    const peersWritten = hasPeers ? this.#peers.put(batch) : undefined;
    // A disk may be copied.
    keyspace.publish();
    const held = keyspace.held.clone();
    const floor = keyspace.retention.floor.clone();
    this.#hasEndings = false;
    try {
      await batch.write({ sync });
    } catch (error) {
      this.#hasEndings ||= endings.length > 0;
      throw error;
    }
    numbers.written.join(held);
    numbers.floor.join(floor);
    for (const [actor, code] of endings) numbers.endings[actor] = code;
    this.#meta = meta;
    peersWritten?.();
    // A sync takes all earlier writes along.
    if (sync) this.durable.join(held);
  }

  /** At most about so many nodes; one that changes afterwards comes again, later in the same batch. */
  #putNodes(batch: WriteBatch, taken: Taken, slice: Slice): void {
    const { keyspace } = this.#options;
    keyspace.flush();
    let left = Math.min(slice.nodes, this.#changed.length);
    for (let bytes = 0; left > 0 && bytes < slice.bytes; left--) {
      const node = this.#changed.pop() as number;
      this.#dirty.delete(node);
      bytes += this.#putNode(batch, taken, node);
    }
  }

  /** Returns how many bytes it has, without those that it is under. */
  #putNode(batch: WriteBatch, taken: Taken, node: number): number {
    taken.nodes.push(node);
    const { keyspace, numbers } = this.#options;
    const { nodes } = keyspace;
    if (!nodes.isUsed(node) || nodes.isEmpty(node)) {
      if (numbers.nodes.has(node)) batch.delete(this.#keys.of(node));
      numbers.nodes.delete(node);
      return 0;
    }
    const parent = nodes.parent(node);
    if (parent >= 0 && !numbers.nodes.has(parent)) this.#putNode(batch, taken, parent);
    numbers.nodes.add(node);
    const at = parent >= 0 ? parent : ~this.#collection(batch, taken, ~parent);
    this.#writer.node({ parent: at, name: nodes.name(node) });
    if (!nodes.isContainer(node)) this.#putCells(node);
    const record = this.#writer.view();
    batch.put(this.#keys.of(node), record);
    return record.length;
  }

  #putCells(node: number): void {
    const { cells, nodes } = this.#options.keyspace;
    const payload = nodes.payload(node);
    for (let cell = nodes.head(node); cell !== noCell; cell = cells.next(cell)) {
      this.#writer.cell(payload, {
        actor: this.#actor(cells.actor(cell)),
        sequence: cells.sequence(cell),
        isLive: cells.isLive(cell),
        value: cells.value(cell),
        payload: cells.payload(cell) as Json | undefined,
      });
    }
  }

  /** @returns the endings that are news to the store. */
  #putActors(batch: WriteBatch): (readonly [actor: number, code: number])[] {
    const { keyspace, numbers } = this.#options;
    const { floor } = keyspace.retention;
    const news: (readonly [number, number])[] = [];
    for (const [actor, held] of keyspace.held.entries()) {
      const name = keyspace.actors.name(actor);
      const ending = keyspace.endings.of(name);
      const code = endingCode(ending);
      const isEndingKnown = (numbers.endings[actor] ?? 0) === code;
      if (!isEndingKnown) news.push([actor, code]);
      const isKnown =
        numbers.written.at(actor) >= held && numbers.floor.at(actor) >= floor.at(actor);
      if (isKnown && isEndingKnown) continue;
      const record = this.#writer.actor({ name, held, floor: floor.at(actor), ending });
      batch.put(recordKey("actor", this.#actor(actor)), record);
    }
    return news;
  }

  /** Stamps go out before they are on the disk, but none beyond a bound that is. */
  #putMeta(batch: WriteBatch): MetaRecord {
    const { keyspace, environment } = this.#options;
    const { clock } = keyspace;
    const writer = this.#isClosed ? undefined : keyspace.actor;
    const ahead = Math.min(boundAheadMsMax, clock.aheadMsMax * boundShare) * stampsPerMs;
    const latest = Math.max(clock.last, environment.now() * stampsPerMs);
    const isAhead = latest + ahead / 2 < this.#meta.stampBound;
    if (isAhead && writer === this.#meta.writer) return this.#meta;
    const meta = { stampBound: Math.floor(latest + ahead), writer };
    batch.put(recordKey("meta"), this.#writer.meta(meta));
    return meta;
  }

  /** An actor's number in the store: given when it is first written, so that who wrote nothing has none. */
  #actor(actor: number): number {
    return numberIn(this.#options.numbers.actors, actor);
  }

  #collection(batch: WriteBatch, taken: Taken, index: number): number {
    const { numbers, keyspace } = this.#options;
    const isNew = (numbers.collections[index] ?? -1) < 0;
    const number = numberIn(numbers.collections, index);
    const root = keyspace.nodes.roots[index];
    if (isNew && root) {
      taken.collections.push(index);
      batch.put(recordKey("collection", number), this.#writer.collection(root));
    }
    return number;
  }
}

/** The number that `mine` has in the store, or the next one that is free there. */
function numberIn(numbers: number[], mine: number): number {
  while (numbers.length <= mine) numbers.push(-1);
  const known = numbers[mine] as number;
  if (known >= 0) return known;
  const next = numbers.reduce((most, number) => Math.max(most, number), -1) + 1;
  numbers[mine] = next;
  return next;
}
