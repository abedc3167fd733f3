/**
 * The clients of one document.
 *
 * What comes from one client in one turn is taken in at the end of the turn, in one step: one batch, one message
 * to the others. Every message is encoded once, however many it goes to.
 */
import * as Y from "yjs";
import { InvalidValueError } from "../../errors.ts";
import type { DocumentCollection, Following } from "../../store/collections/documents.ts";
import type { DocumentFollower, Replaced, Told } from "../../store/documents/held-document.ts";
import { clocksFrom } from "./behind.ts";
import { closeFor, closes } from "./closes.ts";
import { type AwarenessEntry, awarenessMessage, updateMessage } from "./messages.ts";
import type { Presence } from "./presence.ts";
import { type Sending, Session, type SessionRoom } from "./session.ts";

/** Changes that fit nothing that is there wait in memory, unwritten, up to this, in bytes. */
const waitingBytesMax = 1024 * 1024;
/** `Y.mergeUpdates` sorts all of them for each: many are merged in parts. */
const mergedAtOnce = 64;

/** What rooms share. */
export interface RoomOptions {
  readonly documents: DocumentCollection<Y.Doc, Y.Doc>;
  readonly presence: Presence;
  readonly defer: (task: () => void) => void;
  readonly failed: (session: Session, error: unknown) => void;
  /** Nobody is there any more. */
  readonly emptied: (key: string) => void;
}

/** One document with its clients. */
export class Room implements SessionRoom, DocumentFollower {
  readonly #key: string;
  readonly #options: RoomOptions;
  readonly #following: Following<Y.Doc, Y.Doc>;
  readonly #sessions = new Set<Session>();
  /** Of this turn, in the order in which they came. */
  readonly #received = new Map<Session, Uint8Array[]>();

  /** @throws ClosedError */
  constructor(key: string, options: RoomOptions) {
    this.#key = key;
    this.#options = options;
    this.#following = options.documents.follow(key, this);
  }

  get size(): number {
    return this.#sessions.size;
  }

  get doc(): Y.Doc {
    return this.#following.native;
  }

  join(session: Session): void {
    this.#sessions.add(session);
    session.start();
  }

  left(session: Session): void {
    this.#sessions.delete(session);
    this.#options.presence.end(this.#key, session);
    this.#leaveIfEmpty();
  }

  receive(session: Session, update: Uint8Array): void {
    if (this.#received.size === 0) this.#options.defer(() => this.#applyAll());
    const updates = this.#received.get(session);
    if (updates === undefined) this.#received.set(session, [update]);
    else updates.push(update);
  }

  hear(session: Session, entries: readonly AwarenessEntry[]): readonly AwarenessEntry[] {
    return this.#options.presence.hear(this.#key, session, entries);
  }

  present(withGone: boolean): readonly AwarenessEntry[] {
    const { presence } = this.#options;
    return withGone ? presence.everything(this.#key) : presence.entries(this.#key);
  }

  failed(session: Session, error: unknown): void {
    this.#options.failed(session, error);
  }

  /** Who is there has changed. */
  show(entries: readonly AwarenessEntry[]): void {
    if (this.#sessions.size === 0 || entries.length === 0) return;
    const message = awarenessMessage(entries);
    for (const session of this.#sessions) session.told(message);
  }

  changed(told: readonly Told[]): void {
    for (const [origin, sending] of this.#sendings(told)) {
      for (const session of this.#sessions) if (session !== origin) session.changed(sending);
    }
  }

  replaced(why: Replaced): void {
    // Of what was undone or refused, nobody was told.
    if (why !== "removed") return;
    this.#received.clear();
    for (const session of this.#sessions) session.close(closes.removed);
  }

  /** All clients are told to go. */
  close(): void {
    for (const session of this.#sessions) session.close(closes.away);
    this.#following.stop();
  }

  #applyAll(): void {
    const received = [...this.#received];
    this.#received.clear();
    for (const [session, updates] of received) {
      if (!this.#apply(session, updates)) this.#applyEach(session, updates);
    }
    this.#leaveIfEmpty();
  }

  #apply(session: Session, updates: readonly Uint8Array[]): boolean {
    try {
      this.#take(updates, session);
      return true;
    } catch (error) {
      if (updates.length > 1) return false;
      this.#refuse(session, error);
      return true;
    }
  }

  /** One of them is bad: what came before it counts, what comes after it does not. */
  #applyEach(session: Session, updates: readonly Uint8Array[]): void {
    for (const update of updates) {
      try {
        this.#take([update], session);
      } catch (error) {
        return this.#refuse(session, error);
      }
    }
  }

  #take(updates: readonly Uint8Array[], session: Session): void {
    const { pendingStructs, pendingDs } = this.doc.store;
    // What waited for a change is told with it, and is not its maker's own.
    const isOwn = pendingStructs === null && pendingDs === null;
    this.#following.apply(updates, isOwn ? session : undefined);
    this.#bound();
    session.applied(updates.length);
  }

  #refuse(session: Session, error: unknown): void {
    this.#options.failed(session, error);
    session.close(closeFor(error));
  }

  /**
   * What builds on changes that are not there is held by Yjs, neither written nor told. A client has what it
   * builds on and sends it first, so there is little of that, or somebody means harm. @throws InvalidValueError
   */
  #bound(): void {
    const { store } = this.doc;
    const bytes = (store.pendingStructs?.update.length ?? 0) + (store.pendingDs?.length ?? 0);
    if (bytes <= waitingBytesMax) return;
    store.pendingStructs = null;
    store.pendingDs = null;
    throw new InvalidValueError(
      `more than ${waitingBytesMax} bytes of changes build on what is not there; they were dropped`,
      { path: "update", reason: "builds on what is not there" },
    );
  }

  /** By whoever made them: nobody is sent its own. */
  *#sendings(told: readonly Told[]): Generator<readonly [unknown, Sending]> {
    const byOrigin = new Map<unknown, Uint8Array[]>();
    for (const { update, origin } of told) {
      const by = origin instanceof Session ? origin : undefined;
      const updates = byOrigin.get(by);
      if (updates === undefined) byOrigin.set(by, [update]);
      else updates.push(update);
    }
    for (const [origin, updates] of byOrigin) {
      const update = merged(updates);
      let from: ReadonlyMap<number, number> | undefined;
      yield [origin, { message: updateMessage(update), from: () => (from ??= clocksFrom(update)) }];
    }
  }

  #leaveIfEmpty(): void {
    if (this.#sessions.size > 0 || this.#received.size > 0) return;
    this.#following.stop();
    this.#options.emptied(this.#key);
  }
}

function merged(updates: readonly Uint8Array[]): Uint8Array {
  let rest = [...updates];
  while (rest.length > 1) {
    const parts: Uint8Array[] = [];
    for (let at = 0; at < rest.length; at += mergedAtOnce) {
      parts.push(Y.mergeUpdates(rest.slice(at, at + mergedAtOnce)));
    }
    rest = parts;
  }
  return rest[0] ?? new Uint8Array(0);
}
