/** The documents of one collection: which are in memory, and for how long. */
import type { DocumentType } from "../../crdt/document.ts";
import type { Timer } from "../../environment.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import { HeldDocument } from "./held-document.ts";
import { UpdateSlots } from "./update-slots.ts";

/** How long a document stays in memory that nobody uses, in ms. */
export const idleMs = 60_000;

/** What goes wrong without anybody having called. */
export interface ShelfListener {
  /** Updates of a document were none, or could not be taken in. */
  passedOver(key: string, updates: number): void;
  /** Something failed that nobody waits for. */
  failed(what: string, error: unknown): void;
}

/** The documents of one collection. */
export class Shelf<D, C> {
  readonly #keyspace: Keyspace;
  readonly #root: Root;
  readonly #type: DocumentType<D, C>;
  readonly #listener: ShelfListener;
  readonly #held = new Map<string, HeldDocument<D, C>>();
  /** Changed in the open batch. */
  readonly #written = new Set<HeldDocument<D, C>>();
  /** Removed by the open transaction. */
  readonly #removed = new Set<HeldDocument<D, C>>();
  /** To be made small at the end of the turn. */
  readonly #heavy = new Map<HeldDocument<D, C>, "heavy" | "full">();
  #sweeping: Timer | undefined;

  constructor(keyspace: Keyspace, root: Root, type: DocumentType<D, C>, listener: ShelfListener) {
    this.#keyspace = keyspace;
    this.#root = root;
    this.#type = type;
    this.#listener = listener;
    keyspace.listeners.add({
      flushed: () => this.#flushed(),
      undone: () => this.#undone(),
      joined: (slots) => this.#joined(slots),
      sealed: () => this.#close(),
    });
  }

  /** How many documents are in memory. */
  get size(): number {
    return this.#held.size;
  }

  /** The document of a key, which may be empty. @throws ClosedError, InvalidValueError */
  hold(key: string): HeldDocument<D, C> {
    this.#keyspace.assertOpen();
    let held = this.#held.get(key);
    if (held === undefined) {
      held = this.#made(key);
      this.#held.set(key, held);
      this.#sweepLater();
    }
    held.usedMs = this.#keyspace.environment.monotonic();
    return held;
  }

  /**
   * Writes updates of a document as they are; it need not be in memory, nor its library.
   * @throws as `UpdateSlots.add` does.
   */
  add(key: string, updates: readonly Uint8Array[]): void {
    const slots = new UpdateSlots(this.#keyspace, this.#root, key, this.#type.engine).add(updates);
    if (slots.length > 0) this.#held.get(key)?.joined(slots, false);
  }

  /** The key was removed here: by a transaction perhaps, and then nobody is told before that stands. */
  removed(key: string): void {
    if (!this.#keyspace.isTransacting) {
      this.#held.get(key)?.replace("removed");
      return;
    }
    const held = this.hold(key);
    held.giveUp("removed");
    this.#removed.add(held);
    this.#written.add(held);
  }

  /**
   * After a change was refused: whether there is more room now, since much of what stood there was deleted. O(document).
   * @throws OverloadedError as `UpdateSlots.replace` does.
   */
  makeRoom(held: HeldDocument<D, C>): boolean {
    const snapshot = held.open.snapshot();
    return held.slots.saves(snapshot) && held.slots.replace(snapshot);
  }

  /** Somebody who observes or follows a document threw. */
  observerFailed(error: unknown): void {
    this.#listener.failed("who observes a document threw", error);
  }

  #close(): void {
    this.#sweeping?.cancel();
    for (const held of this.#held.values()) held.close();
    this.#held.clear();
  }

  #made(key: string): HeldDocument<D, C> {
    const { engine } = this.#type;
    // A snapshot takes away what the library cannot read.
    let isSpoiled = false;
    return new HeldDocument<D, C>({
      engine,
      slots: () => new UpdateSlots(this.#keyspace, this.#root, key, engine),
      wrote: (held) => {
        // What is cut into parts closes its batch itself, before it is known here that there is something to tell.
        if (this.#written.size === 0) this.#keyspace.environment.defer(() => this.#flushed());
        this.#written.add(held);
        if (!isSpoiled && !held.slots.isHeavy()) return;
        isSpoiled = false;
        this.#lighten(held, "heavy");
      },
      // Replicas that make snapshots at once leave several: they say the same, and may be too much together.
      refused: (held) => {
        if (!this.#keyspace.isClosed) this.#lighten(held, held.slots.isHeavy() ? "heavy" : "full");
      },
      passedOver: (updates) => {
        isSpoiled = true;
        this.#listener.passedOver(key, updates);
      },
      observerFailed: (error) => this.observerFailed(error),
    });
  }

  /** After this turn: a library that tells of a change is in the midst of it. */
  #lighten(held: HeldDocument<D, C>, why: "heavy" | "full"): void {
    if (this.#heavy.size === 0) this.#keyspace.environment.defer(() => this.#lightenAll());
    this.#heavy.set(held, why);
  }

  #lightenAll(): void {
    const heavy = [...this.#heavy];
    this.#heavy.clear();
    if (this.#keyspace.isClosed) return;
    for (const [held, why] of heavy) {
      try {
        if (why === "heavy") held.slots.replace(held.open.snapshot());
        else this.makeRoom(held);
      } catch (error) {
        this.#listener.failed("a document cannot be made smaller, and stays as it is", error);
      }
    }
  }

  #flushed(): void {
    if (this.#written.size === 0) return;
    const written = [...this.#written];
    this.#written.clear();
    for (const held of written) {
      if (this.#removed.delete(held)) held.tellReplaced("removed");
      held.tell();
    }
  }

  #undone(): void {
    const written = [...this.#written];
    this.#written.clear();
    this.#removed.clear();
    for (const held of written) held.replace("undone");
  }

  #joined(slots: readonly number[]): void {
    if (this.#held.size === 0) return;
    const { nodes } = this.#keyspace;
    const changed = new Map<HeldDocument<D, C>, { slots: number[]; less: boolean }>();
    for (const slot of slots) {
      if (!nodes.isUsed(slot) || nodes.rootOf(slot) !== this.#root) continue;
      const held = this.#held.get(String(nodes.name(nodes.keyOf(slot))));
      if (held === undefined) continue;
      const change = changed.get(held) ?? { slots: [], less: false };
      changed.set(held, change);
      if (this.#keyspace.isLive(slot)) change.slots.push(slot);
      else change.less = true;
    }
    for (const [held, { slots: live, less }] of changed) held.joined(live, less);
  }

  #sweepLater(): void {
    this.#sweeping ??= this.#keyspace.environment.schedule(idleMs / 2, () => this.#sweep());
  }

  #sweep(): void {
    this.#sweeping = undefined;
    const nowMs = this.#keyspace.environment.monotonic();
    for (const [key, held] of this.#held) {
      if (nowMs - held.usedMs < idleMs) continue;
      if (held.isWanted) {
        held.takeBack();
        continue;
      }
      held.lend();
      if (!held.isInMemory) this.#held.delete(key);
    }
    if (this.#held.size > 0) this.#sweepLater();
  }
}
