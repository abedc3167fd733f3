/**
 * A document in memory, as long as somebody uses it.
 *
 * What its library says was changed here is written to the slots at once, within the batch or transaction
 * that is open; what others wrote is taken in from the slots. Those who follow it are told after the batch is
 * closed, so nobody is told of what is undone.
 *
 * An object of a library cannot be set back. So where the slots say less than the object (a transaction that
 * threw, a removal, a write that was refused) the object is given up, and whoever asks next gets another. Who
 * still has the old one and changes it is told so by an error, for nobody would ever see the change.
 */
import type {
  DocumentEngine,
  DocumentListener,
  OpenDocument,
  Origin,
} from "../../crdt/document.ts";
import { UsageError } from "../../errors.ts";
import type { UpdateSlots } from "./update-slots.ts";

/** Why a document is another object now. */
export type Replaced = "undone" | "removed" | "refused";

/** Who is told what becomes of a document. None of these may throw. */
export interface DocumentFollower {
  /** After a batch or a join: the updates that came, in order, and who made each. */
  changed(updates: readonly Told[]): void;
  /** The object is another one, with less in it. */
  replaced(why: Replaced): void;
}

/** One update that somebody is told of. */
export interface Told {
  readonly update: Uint8Array;
  readonly origin: Origin;
}

/** The origin of what comes from other replicas. */
export const fromAfar: unique symbol = Symbol("from another replica");

/** What a held document is made of, and whom it asks. */
export interface HeldDocumentOptions<D, C> {
  readonly engine: DocumentEngine<D, C>;
  readonly slots: () => UpdateSlots;
  /** Something was written to the slots, and is to be told at the end of the batch. */
  readonly wrote: (document: HeldDocument<D, C>) => void;
  /** A write was refused; the document is another object. */
  readonly refused: (document: HeldDocument<D, C>) => void;
  /** Bytes that are no update, or cannot be taken in, were passed over. */
  readonly passedOver: (updates: number) => void;
  readonly observerFailed: (error: unknown) => void;
}

/** One document, in memory or on call. */
export class HeldDocument<D, C> {
  readonly followers: Set<DocumentFollower> = new Set();
  /** When it was used last, in ms. */
  usedMs = 0;
  readonly #options: HeldDocumentOptions<D, C>;
  #slots: UpdateSlots;
  #open: OpenDocument<D, C> | undefined;
  /** What somebody outside may still hold. */
  #lent: WeakRef<OpenDocument<D, C>> | undefined;
  /** Being read from the slots. */
  #reading: OpenDocument<D, C> | undefined;
  #told: Told[] = [];

  constructor(options: HeldDocumentOptions<D, C>) {
    this.#options = options;
    this.#slots = options.slots();
  }

  /** The document, read from its slots if it is not in memory. */
  get open(): OpenDocument<D, C> {
    this.#open ??= this.#lent?.deref() ?? this.#read();
    this.#lent = undefined;
    return this.#open;
  }

  /** Whether anybody has it. */
  get isInMemory(): boolean {
    return this.#present !== undefined;
  }

  /** Whether somebody follows or observes it. */
  get isWanted(): boolean {
    return this.followers.size > 0 || this.#present?.isObserved === true;
  }

  /** Tells somebody of what changes an object that is there: after `replaced`, it is once it was asked for. */
  follow(follower: DocumentFollower): void {
    void this.open;
    this.followers.add(follower);
  }

  get slots(): UpdateSlots {
    return this.#slots;
  }

  /** Leaves it to whoever outside still holds the object: what they change is written all the same. */
  lend(): void {
    if (this.#open === undefined) return;
    this.#lent = new WeakRef(this.#open);
    this.#open = undefined;
  }

  /** Holds what was lent, if it is still there. */
  takeBack(): void {
    this.#open ??= this.#present;
    if (this.#open !== undefined) this.#lent = undefined;
  }

  /** Takes in what others wrote to these slots. `less`: something was removed, too. */
  joined(slots: Iterable<number>, less: boolean): void {
    const open = this.#present;
    if (open === undefined && this.followers.size === 0) return;
    if (this.#slots.isEmpty) return this.replace("removed");
    const updates = this.#takable(this.#slots.readSlots(slots));
    if (open === undefined) {
      for (const update of updates) this.#told.push({ update, origin: fromAfar });
    } else {
      if (updates.length > 0) this.#take(open, updates);
      // Who observes it may have had it replaced meanwhile.
      if (less && this.#present === open && this.#lacks(open)) return this.replace("removed");
    }
    this.tell();
  }

  /** The batch is closed, or the join is whole: those who follow are told. */
  tell(): void {
    if (this.#told.length === 0) return;
    const told = this.#told;
    this.#told = [];
    for (const follower of this.followers) follower.changed(told);
  }

  /** Gives up the object, and tells those who follow. */
  replace(why: Replaced): void {
    this.giveUp(why);
    this.tellReplaced(why);
  }

  /** Gives up the object: whoever asks next gets another. */
  giveUp(why: Replaced): void {
    const open = this.#present;
    this.#open = undefined;
    this.#lent = undefined;
    // What was written before something was refused is there, and to be told at the end of the batch.
    if (why !== "refused") this.#told = [];
    this.#slots = this.#options.slots();
    open?.close();
  }

  tellReplaced(why: Replaced): void {
    for (const follower of this.followers) follower.replaced(why);
  }

  /** Lets go of the object for good. */
  close(): void {
    this.#present?.close();
    this.#open = undefined;
    this.#lent = undefined;
    this.followers.clear();
  }

  get #present(): OpenDocument<D, C> | undefined {
    return this.#open ?? this.#lent?.deref();
  }

  /** Whether the slots say something else. Mostly a snapshot took the place of what was removed, and they do not. */
  #lacks(open: OpenDocument<D, C>): boolean {
    const now = this.#read();
    const { version } = now;
    now.close();
    return version !== open.version;
  }

  #read(): OpenDocument<D, C> {
    const updates = this.#slots.read();
    const whole = this.#opened(updates);
    if (whole !== undefined) return whole;
    const sound = this.#sound(updates);
    if (sound.length < updates.length) this.#options.passedOver(updates.length - sound.length);
    const rest = this.#opened(sound);
    if (rest === undefined) throw new Error("assertion: what was taken in cannot be taken in");
    return rest;
  }

  /** Of these, all that can be taken in one after the other: found by halves, O(bad ones x log n) documents. */
  #sound(updates: readonly Uint8Array[]): Uint8Array[] {
    const { engine } = this.#options;
    let sound: Uint8Array[] = [];
    const left = [updates.filter((update) => engine.isUpdate(update))];
    for (let part = left.pop(); part !== undefined; part = left.pop()) {
      const more = [...sound, ...part];
      if (this.#canTake(more)) sound = more;
      else if (part.length > 1)
        left.push(part.slice(part.length / 2), part.slice(0, part.length / 2));
    }
    return sound;
  }

  #canTake(updates: readonly Uint8Array[]): boolean {
    const trial = this.#options.engine.open(nobody);
    try {
      trial.apply(updates, fromAfar);
      return true;
    } catch {
      return false;
    } finally {
      trial.close();
    }
  }

  /** An object with these updates, whose listener knows us, so that we last as long as it does. */
  #opened(updates: readonly Uint8Array[]): OpenDocument<D, C> | undefined {
    const opened: OpenDocument<D, C> = this.#options.engine.open({
      changed: (update, origin) => this.#changed(opened, update, origin),
      observerFailed: this.#options.observerFailed,
    });
    if (updates.length === 0) return opened;
    const outer = this.#reading;
    this.#reading = opened;
    try {
      opened.apply(updates, fromAfar);
      return opened;
    } catch {
      opened.close();
      return undefined;
    } finally {
      this.#reading = outer;
    }
  }

  #takable(updates: readonly Uint8Array[]): Uint8Array[] {
    const good = updates.filter((update) => this.#options.engine.isUpdate(update));
    if (good.length < updates.length) this.#options.passedOver(updates.length - good.length);
    return good;
  }

  #take(open: OpenDocument<D, C>, updates: readonly Uint8Array[]): void {
    try {
      open.apply(updates, fromAfar);
    } catch {
      // It may be half taken in: what reads the slots again decides, and whoever follows is told all of it.
      this.replace("refused");
      if (this.followers.size > 0) {
        this.#told.push({ update: this.open.snapshot(), origin: fromAfar });
      }
    }
  }

  #changed(by: OpenDocument<D, C>, update: Uint8Array, origin: Origin): void {
    if (by === this.#reading) return;
    if (this.#present !== by) {
      throw new UsageError(
        "the document was replaced by another object (a transaction was undone, it was removed, a write was " +
          "refused, or the replica was closed); this change was not kept: get the document again",
      );
    }
    if (origin !== fromAfar) this.#write(update);
    if (this.followers.size > 0) this.#told.push({ update, origin });
  }

  #write(update: Uint8Array): void {
    try {
      this.#slots.append(update);
    } catch (error) {
      this.replace("refused");
      this.#options.refused(this);
      throw error;
    }
    this.#options.wrote(this);
  }
}

const nobody: DocumentListener = { changed: () => undefined, observerFailed: () => undefined };
