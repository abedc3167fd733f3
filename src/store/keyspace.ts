/**
 * One replica's state, in memory: what is held, local writes, and their batches. No I/O.
 *
 * A local write takes effect at once, in the open batch: its cell goes to the end of our own log under
 * the sequence that the batch will have. So the end of that log *is* the list of what is dirty, and
 * closing the batch (`flush`) is a constant step: the vector moves by one. A thousand increments of
 * a counter between two flushes are one cell, touched once.
 *
 * Joining is in `join.ts`, what a peer lacks in `interval.ts`, one link's conversation in
 * `exchange.ts`.
 */
import { Actors } from "../crdt/actors.ts";
import { Cells, noCell } from "../crdt/cells.ts";
import type { ChangeLog } from "../crdt/change-log.ts";
import { isSafe } from "../crdt/counter.ts";
import type { Name } from "../crdt/data-type.ts";
import { type ActorId, actorBytes, actorIdFromBytes, sequenceMax } from "../crdt/dot.ts";
import { HybridLogicalClock } from "../crdt/hybrid-logical-clock.ts";
import { VersionVector } from "../crdt/version-vector.ts";
import type { Environment } from "../environment.ts";
import { ClosedError, OverloadedError, UsageError } from "../errors.ts";
import { batchBytesMax, reservedBytes, touchBytes, transactionBytesMax } from "./batch-limits.ts";
import { Endings } from "./endings.ts";
import { Forgetting } from "./forgetting.ts";
import type { KeyspaceListener } from "./keyspace-listener.ts";
import type { KeyspaceOptions } from "./keyspace-options.ts";
import { Names } from "./names.ts";
import { type Container, Nodes, type Root } from "./nodes.ts";
import { defaultLogEntriesMax, Retention } from "./retention.ts";
import { Publication } from "./publication.ts";
import { checkSchema } from "./schema.ts";
import { exactTotal, outOfRange } from "./sums.ts";
import { synchronous, Undo } from "./undo.ts";
import { type Json, sizeOf } from "./values.ts";

/** No actor has this number. */
const nobody = -2;
/** The state of one replica. */
export class Keyspace {
  readonly actors: Actors = new Actors();
  readonly cells: Cells = new Cells();
  readonly nodes: Nodes = new Nodes(this.cells);
  /** Everything held, with all its causes. */
  readonly held: VersionVector = new VersionVector();
  readonly clock: HybridLogicalClock;
  readonly retention: Retention;
  readonly publication: Publication = new Publication();
  /** Which actors have ended. */
  readonly endings: Endings;
  readonly names: Names;
  readonly forgetting: Forgetting;
  readonly listeners: Set<KeyspaceListener> = new Set();
  readonly environment: Environment;
  #me: number;
  /** Our own touches. */
  #log: ChangeLog;
  #open = 1;
  #dirty = false;
  /** Of the registers written in the open batch; 0 before the first. */
  #stamp = 0;
  #batchBytes = 0;
  #undo: Undo | undefined;
  #closed = false;
  /** Our actor has: nothing is written any more. */
  #ended = false;
  /** Whether a write has to look first: it is in a transaction, or the batch is full, or all is closed. */
  #isGuarded = false;
  /** Whose counters are added to without looking: us, or nobody. */
  #quickActor = nobody;

  constructor(options: KeyspaceOptions) {
    checkSchema(options.schema);
    this.environment = options.environment;
    this.names = new Names(this.nodes);
    this.clock = new HybridLogicalClock({
      now: () => options.environment.now(),
      ...(options.clockAheadMsMax === undefined ? {} : { aheadMsMax: options.clockAheadMsMax }),
    });
    const entriesMax = options.logEntriesMax ?? defaultLogEntriesMax;
    this.retention = new Retention(this.cells, entriesMax);
    this.forgetting = new Forgetting(this.nodes, this.retention, this.names, (node) => {
      for (const listener of this.listeners) listener.forgot?.(node);
    });
    this.endings = new Endings(this.actors, this.held, (actor) => {
      for (const listener of this.listeners) listener.actorEnded?.(actor);
    });
    for (const [name, type] of Object.entries(options.schema)) {
      this.nodes.addRoot(name, type.tag, type.shape);
    }
    this.#me = this.actors.intern(this.newActor());
    this.#log = this.cells.log(this.#me);
    this.#guard(false);
  }

  /** The actor that local writes have now. */
  get actor(): ActorId {
    return this.actors.name(this.#me);
  }

  /** The number of that actor. */
  get me(): number {
    return this.#me;
  }

  /** Whether the keyspace takes no more writes. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether a transaction is running. */
  get isTransacting(): boolean {
    return this.#undo !== undefined;
  }

  /** Flushes, and refuses every write from now on but those of `amend`. */
  seal(): void {
    if (this.#undo) throw new UsageError("a replica cannot be closed inside a transaction");
    this.flush();
    this.#closed = true;
    this.#guard(true);
    for (const listener of this.listeners) listener.sealed?.();
  }

  /**
   * Writes of the replica itself, which may come between `seal` and `close`: what it has to say of work
   * that was under way. Then they are a batch of their own; after `close` nothing is written.
   */
  amend(writes: () => void): void {
    if (this.#ended) return;
    if (!this.#closed) return writes();
    this.#closed = false;
    this.#guard(false);
    try {
      writes();
      this.flush();
    } finally {
      this.#closed = true;
      this.#guard(true);
    }
  }

  /** Seals, and says that our actor has ended. */
  close(): void {
    this.seal();
    if (!this.#ended) this.#end();
    this.#ended = true;
  }

  /** @throws ClosedError once `seal` or `close` was called. */
  assertOpen(): void {
    if (this.#closed) throw new ClosedError("the replica is closed");
  }

  // Local writes. Callers have checked names and values; these keep the state whole.

  /** The node of a key, made if need be. */
  key(root: Root, key: string): number {
    return root.keys.get(key) ?? this.#made(this.nodes.addKey(root, key), key);
  }

  /** The node of a child, made if need be. */
  child(parent: Container, name: Name): number {
    return parent.children.get(name) ?? this.#made(this.nodes.addChild(parent, name), name);
  }

  /**
   * Adds to our own total of a counter. O(1).
   * @throws CounterRangeError when the value or our total would leave the safe integers.
   */
  add(node: number, by: number): void {
    const writing = this.cells.addTo(node, this.#quickActor, this.#open, by);
    if (writing === "first") this.#logTouch(node);
    else if (writing === "refused") this.#addSlowly(node, by);
  }

  /** An addition in a transaction, to a counter that others have, or one that is new or out of range. */
  #addSlowly(node: number, by: number): void {
    if (this.#isGuarded) this.#enter(node);
    const { cells, nodes, publication } = this;
    let cell = cells.find(node, this.#me);
    const sum = cell === noCell ? by : cells.value(cell) + by;
    const before = nodes.total(node);
    // What a join has brought beyond the range may still move back towards it.
    const isNearer = !isSafe(before) && Math.sign(before) !== Math.sign(by);
    if (!isSafe(sum) || !(isSafe(before + by) || isNearer)) outOfRange(nodes, node, by);
    if (cell === noCell) cell = this.#addOwn(node, true);
    else if (cells.sequence(cell) !== this.#open) {
      if (publication.notes) publication.note(node, cells.value(cell), cells.sequence(cell));
      this.#touch(cell);
    }
    cells.advance(cell);
    cells.setValue(cell, sum);
    nodes.setTotal(node, isSafe(before) ? before + by : exactTotal(nodes, cells, node));
  }

  /** Makes a mark live: it replaces every cell of its slot. */
  mark(node: number): void {
    this.#replace(node, true);
  }

  /** Sets a stamped slot: it replaces every cell there. All of a batch have one stamp. */
  assign(node: number, value: Json): void {
    const { cells } = this;
    const writing =
      this.#stamp === 0
        ? "refused"
        : cells.restamp(node, this.#quickActor, this.#open, this.#stamp);
    if (writing === "first") this.#logTouch(node);
    else if (writing === "refused") cells.setValue(this.#replace(node, true), this.#batchStamp());
    cells.setPayload(node, value);
    this.#weigh(sizeOf(value));
  }

  /** Removes what is live in a slot, an observed remove. Nothing live: nothing is written. */
  clear(node: number): boolean {
    if (this.nodes.total(node) === 0) return false;
    const cell = this.#replace(node, false);
    if (this.nodes.payload(node) === "stamped") this.cells.setPayload(cell, undefined);
    return true;
  }

  /** An observed remove of everything under a node. O(what is under it). */
  clearAll(node: number): boolean {
    const container = this.nodes.container(node);
    if (container === undefined) return this.clear(node);
    if (this.nodes.total(node) === 0) return false;
    for (const child of container.children.values()) this.clearAll(child);
    return true;
  }

  /** Whether anything is live in a leaf. */
  isLive(node: number): boolean {
    return this.nodes.isSum(node) ? this.nodes.head(node) !== noCell : this.nodes.total(node) > 0;
  }

  // Batches.

  /** The next few writes, of one value, will not be parted by the end of a batch. */
  reserve(): void {
    if (this.#batchBytes >= batchBytesMax - reservedBytes) this.flush();
  }

  /**
   * Closes the open batch, but not inside a transaction: its writes get their dot. O(1).
   * @returns whether there was anything to close.
   */
  flush(): boolean {
    if (!this.#dirty || this.#undo) return false;
    this.#dirty = false;
    this.#stamp = 0;
    this.#batchBytes = 0;
    this.settleNames();
    this.held.raise(this.#me, this.#open);
    this.actors.changed(this.#me);
    this.cells.tidy(this.#me);
    if (this.#open === sequenceMax) {
      this.#end();
      this.become(this.actors.intern(this.newActor()));
    } else this.#open++;
    this.#guard(this.#closed);
    for (const listener of this.listeners) listener.flushed();
    return true;
  }

  /** The slots of the local batch that was closed last. */
  *lastBatch(): Generator<number> {
    for (let entry = this.#log.firstAfter(this.#open - 2); entry < this.#log.count; entry++) {
      yield this.cells.slot(this.#log.cell(entry));
    }
  }

  /** Runs `writes` as one batch. What it threw undoes all. @throws that; UsageError when it returns a promise. */
  transact<T>(writes: () => T): T {
    this.assertOpen();
    if (this.#undo) return this.#join(this.#undo, writes);
    this.flush();
    const undo = new Undo(this.nodes, this.cells, this.retention);
    this.#undo = undo;
    this.#guard(true);
    try {
      const result = synchronous(writes());
      if (undo.failure) throw undo.failure.error;
      undo.commit();
      return result;
    } catch (error) {
      undo.rollback((node) => this.isLive(node));
      this.#log.truncate(this.#open - 1);
      this.#dirty = false;
      this.#stamp = 0;
      this.#batchBytes = 0;
      this.settleNames();
      for (const listener of this.listeners) listener.undone?.();
      throw error;
    } finally {
      this.#undo = undefined;
      this.#guard(false);
      this.flush();
    }
  }

  /** A nested call is part of the outer one; its failure is, too. */
  #join<T>(undo: Undo, writes: () => T): T {
    try {
      return synchronous(writes());
    } catch (error) {
      undo.failure ??= { error };
      throw error;
    }
  }

  // Who we are to others.

  /** All that is held of our actor may be known from now on; what comes next, too, unless `isAlone`. */
  publish(isAlone: boolean = this.publication.isAlone): void {
    this.flush();
    this.publication.publish(this.held.at(this.#me), isAlone);
    this.#guard(this.#isGuarded);
  }

  /** A name that no actor has. */
  newActor(): ActorId {
    return actorIdFromBytes(this.environment.randomBytes(actorBytes));
  }

  /** Writes as another actor from now on, or again as this one, which was renamed. */
  become(actor: number): void {
    this.#me = actor;
    this.#log = this.cells.log(actor);
    this.#open = this.held.at(actor) + 1;
    this.#guard(this.#isGuarded);
  }

  /** A frame is through. */
  settleNames(): void {
    if (!this.#dirty) this.#batchBytes = 0;
    this.names.settle();
  }

  #made(node: number, name: Name): number {
    this.names.made(node);
    if (typeof name === "string") this.#weigh(name.length);
    return node;
  }

  /** Our actor writes no more. One that wrote nothing leaves no trace. */
  #end(): void {
    const at = this.held.at(this.#me);
    if (at > 0) this.endings.learn(this.actor, { at, isFinal: true });
  }

  readonly #flushLater = (): void => {
    this.flush();
  };

  /** Nothing is joined into an open batch, so the first stamp is later than all that any of it saw. */
  #batchStamp(): number {
    return (this.#stamp ||= this.clock.now());
  }

  #guard(isGuarded: boolean): void {
    this.#isGuarded = isGuarded;
    this.#quickActor = isGuarded || this.publication.notes ? nobody : this.#me;
  }

  /** Before a write that must look first. @throws ClosedError, OverloadedError */
  #enter(node: number): void {
    this.assertOpen();
    if (this.#batchBytes >= batchBytesMax) this.#makeRoom();
    this.#undo?.remember(node);
  }

  /** Between two writes, so that what is closed is whole. */
  #makeRoom(): void {
    if (this.#undo === undefined) this.flush();
    else if (this.#batchBytes >= transactionBytesMax) {
      const message = `a transaction writes more than ${transactionBytesMax} bytes; it is undone`;
      const error = new OverloadedError(message, {});
      this.#undo.failure ??= { error };
      throw error;
    }
  }

  #weigh(bytes: number): void {
    this.#batchBytes += bytes;
    if (this.#batchBytes >= batchBytesMax) this.#guard(true);
  }

  #touch(cell: number): void {
    this.cells.setSequence(cell, this.#open);
    this.#logTouch(cell);
  }

  #logTouch(cell: number): void {
    this.#log.append(cell, this.#open);
    this.#weigh(touchBytes);
    if (this.#dirty) return;
    this.#dirty = true;
    this.environment.defer(this.#flushLater);
  }

  #addOwn(node: number, live: boolean): number {
    const { cells, nodes } = this;
    const wasLive = this.isLive(node);
    const cell = cells.add(node, this.#me, live);
    this.#touch(cell);
    if (live && !wasLive && nodes.isSum(node)) nodes.countLive(node, 1);
    return cell;
  }

  /** A write is later than all that is held: one cell of ours replaces the whole chain. */
  #replace(node: number, live: boolean): number {
    if (this.#isGuarded) this.#enter(node);
    const { cells } = this;
    if (!live || !cells.isOnlyLiveOf(node, this.#me)) return this.#replaceAll(node, live);
    if (cells.sequence(node) !== this.#open) this.#touch(node);
    return node;
  }

  /** The general case: cells of others, or a change between live and bare. */
  #replaceAll(node: number, live: boolean): number {
    const { cells, nodes, retention } = this;
    const wasLive = nodes.total(node) > 0;
    let cell = cells.head(node);
    while (cell !== noCell) {
      const following = cells.next(cell);
      if (!cells.isLive(cell)) retention.unkeep();
      // Ours stays if it is where it is found first.
      if (cell !== node || cells.actor(cell) !== this.#me) this.#drop(cell);
      cell = following;
    }
    if (cells.head(node) === noCell) this.#addOwn(node, live);
    else if (cells.sequence(node) !== this.#open) this.#touch(node);
    cells.setLive(node, live);
    if (!live) retention.keep(node, this.#open);
    nodes.setTotal(node, live ? 1 : 0);
    if (live !== wasLive) nodes.countLive(node, live ? 1 : -1);
    return node;
  }

  #drop(cell: number): void {
    if (this.#undo) this.#undo.drop(cell);
    else this.cells.remove(cell);
  }
}
