/**
 * One document that clients have open.
 *
 * What comes in one turn is taken in at the end of the turn, in one step: one batch. Where one of the messages is bad,
 * each is taken in by itself, and the bad one ends its client.
 *
 * Each client has a sync state of Automerge's, which says what it is known to have; a message to it is made from that
 * and the document as it is then. So nothing waits for a client that does not read, and what changes a thousand times
 * meanwhile costs one message. Messages are made at the end of a turn, and under load once in `paceMs`.
 *
 * Where the document becomes another object with less in it, the states are made anew: they name what is gone.
 */
import * as Automerge from "@automerge/automerge";
import { isBounded } from "../../bridge/automerge-bounds.ts";
import { OverloadedError } from "../../errors.ts";
import type { Environment, Timer } from "../../environment.ts";
import type { DocumentCollection, Following } from "../../store/collections/documents.ts";

/** Between two rounds of messages, in ms. */
const paceMs = 15;
/** How long a client waits to be told that there is no such document: it may be on its way from another peer. In ms. */
const absentMs = 500;
/** What may wait for a client when a message is made for it, in bytes. */
const waitingBytesMax = 1024 * 1024;

/** A document, whatever is in it. */
export type AnyDoc = Automerge.Doc<Record<string, unknown>>;

/** A client, as a document sees it. */
export interface Watcher {
  readonly bufferedBytes: number;
  /** A message of Automerge's sync protocol. */
  sendSync(documentId: string, data: Uint8Array): void;
  sendUnavailable(documentId: string): void;
  /** Nothing can be made of the document for it. */
  failed(error: unknown): void;
  /** What it sent cannot be taken in: it is to leave. */
  refused(error: unknown): void;
}

/** What a watcher is known to have. */
interface Watch {
  state: Automerge.SyncState;
  mayWrite: boolean;
  /** Something may have to be said to it. */
  isDue: boolean;
  /** Until it is told that there is no such document. */
  asking: Timer | undefined;
}

/** What a watcher said in this turn. */
interface Said {
  readonly watcher: Watcher;
  readonly watch: Watch;
  readonly data: Uint8Array;
  /** What it brings. */
  readonly changes: readonly Uint8Array[];
}

/** What a served document is made of. */
export interface ServedDocumentOptions {
  readonly documents: DocumentCollection<AnyDoc, Record<string, unknown>>;
  readonly environment: Environment;
  /** A document weighs so much that no more can be written to it. */
  readonly full: (error: OverloadedError) => void;
}

/** One document that clients have open. */
export class ServedDocument {
  readonly id: string;
  readonly #options: ServedDocumentOptions;
  readonly #watches = new Map<Watcher, Watch>();
  readonly #following: Following<AnyDoc, Record<string, unknown>>;
  /** Of this turn, in the order in which they came. */
  #said: Said[] = [];
  #isRoundPlanned = false;
  #pause: Timer | undefined;
  #isOver = false;

  /** @throws ClosedError */
  constructor(id: string, options: ServedDocumentOptions) {
    this.id = id;
    this.#options = options;
    this.#following = options.documents.follow(id, {
      changed: () => this.#allDue(),
      replaced: () => {
        for (const watch of this.#watches.values()) watch.state = blank(watch.mayWrite);
        this.#allDue();
      },
    });
  }

  get watchers(): Iterable<Watcher> {
    return this.#watches.keys();
  }

  get isWatched(): boolean {
    return this.#watches.size > 0;
  }

  /**
   * Takes in what a client says of the document, and what it brings if it may, at the end of this turn.
   * @throws whatever for what is no message of the protocol.
   */
  receive(watcher: Watcher, data: Uint8Array, mayWrite: boolean): void {
    // What is none must not cost the document in memory.
    const { changes } = Automerge.decodeSyncMessage(data);
    if (!isBounded(changes)) throw new RangeError("the changes would become too much");
    let watch = this.#watches.get(watcher);
    if (watch === undefined) {
      watch = { state: blank(mayWrite), mayWrite, isDue: false, asking: undefined };
      this.#watches.set(watcher, watch);
    }
    if (this.#said.length === 0) this.#options.environment.defer(() => this.#takeAll());
    this.#said.push({ watcher, watch, data, changes });
  }

  /** Some of what waited for the client has left. */
  drained(watcher: Watcher): void {
    const watch = this.#watches.get(watcher);
    if (watch?.isDue === true) this.#say(watcher, watch);
  }

  /** What it has said counts. */
  leave(watcher: Watcher): void {
    this.#takeAll();
    this.#watches.get(watcher)?.asking?.cancel();
    this.#watches.delete(watcher);
  }

  /** Tells nobody any more. */
  close(): void {
    this.#isOver = true;
    this.#following.stop();
    this.#pause?.cancel();
    for (const watcher of [...this.#watches.keys()]) this.leave(watcher);
  }

  #takeAll(): void {
    const said = this.#said;
    this.#said = [];
    if (said.length === 0) return;
    const isTaken = said.length > 1 && this.#takeTogether(said);
    for (const one of said) {
      const { watcher, watch } = one;
      if (this.#watches.get(watcher) !== watch) continue;
      try {
        if (!isTaken) this.#take(one);
        watch.isDue = true;
        if (this.#isAbsent(watch)) this.#answerLater(watcher, watch);
      } catch (error) {
        watcher.refused(error);
      }
    }
    this.#roundSoon();
  }

  #takeTogether(said: readonly Said[]): boolean {
    try {
      const states = this.#following.advance((native) => {
        const reached = new Map<Watch, Automerge.SyncState>();
        // All changes at once cost little more than those of one message; each then finds its own there.
        const changes = said.flatMap((one) => (one.watch.mayWrite ? one.changes : []));
        let doc = changes.length > 0 ? Automerge.loadIncremental(native, joined(changes)) : native;
        for (const { watch, data } of said) {
          const [next, state] = Automerge.receiveSyncMessage(
            doc,
            reached.get(watch) ?? watch.state,
            data,
          );
          doc = next;
          reached.set(watch, state);
        }
        return [doc, reached];
      }, this);
      for (const [watch, state] of states) watch.state = state;
      return true;
    } catch {
      // The document is what it was before, and the states are blank.
      return false;
    }
  }

  #take({ watcher, watch, data }: Said): void {
    try {
      watch.state = this.#received(watch.state, data, watcher);
    } catch (error) {
      if (!(error instanceof OverloadedError)) throw error;
      // It would bring the same for ever; as one that may only read it stops.
      this.#options.full(error);
      watch.mayWrite = false;
      watch.state = this.#received(blank(false), data, watcher);
    }
  }

  #received(state: Automerge.SyncState, data: Uint8Array, watcher: Watcher): Automerge.SyncState {
    return this.#following.advance((native) => {
      const [next, received] = Automerge.receiveSyncMessage(native, state, data);
      return [next, received];
    }, watcher);
  }

  /** As `native` does, which makes the object fit to be handed out. */
  #read<R>(read: (native: AnyDoc) => R): R {
    return this.#following.advance((native) => [native, read(native)], this);
  }

  #isAbsent(watch: Watch): boolean {
    return (
      this.#read(Automerge.getHeads).length === 0 && (watch.state.theirHeads?.length ?? 0) === 0
    );
  }

  #answerLater(watcher: Watcher, watch: Watch): void {
    watch.asking ??= this.#options.environment.schedule(absentMs, () => {
      watch.asking = undefined;
      this.#attempt(watcher, () => {
        if (this.#isAbsent(watch)) watcher.sendUnavailable(this.id);
      });
    });
  }

  #allDue(): void {
    for (const watch of this.#watches.values()) watch.isDue = true;
    this.#roundSoon();
  }

  #roundSoon(): void {
    if (this.#isRoundPlanned || this.#isOver) return;
    this.#isRoundPlanned = true;
    if (this.#pause === undefined) this.#options.environment.defer(() => this.#round());
  }

  #round(): void {
    this.#isRoundPlanned = false;
    if (this.#isOver) return;
    this.#pause = this.#options.environment.schedule(paceMs, () => {
      this.#pause = undefined;
      if (this.#isRoundPlanned) this.#round();
    });
    for (const [watcher, watch] of [...this.#watches]) if (watch.isDue) this.#say(watcher, watch);
  }

  #say(watcher: Watcher, watch: Watch): void {
    if (watcher.bufferedBytes > waitingBytesMax) return;
    watch.isDue = false;
    this.#attempt(watcher, () => {
      if (this.#isAbsent(watch)) return;
      const [state, message] = this.#read((native) =>
        Automerge.generateSyncMessage(native, watch.state),
      );
      watch.state = state;
      if (message !== null) watcher.sendSync(this.id, message);
    });
  }

  #attempt(watcher: Watcher, attempt: () => void): void {
    try {
      attempt();
    } catch (error) {
      watcher.failed(error);
    }
  }
}

const joined = (parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

/** Of somebody who may only read, Automerge takes no changes and tells the other side so. */
const blank = (mayWrite: boolean): Automerge.SyncState =>
  Automerge.initSyncState({ readOnly: !mayWrite });
