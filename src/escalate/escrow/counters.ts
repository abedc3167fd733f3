/** The bounded counters of one collection: what each operation does to a holding, and who waits for what. */
import { type BoundedCounterType, boundedValue } from "../../crdt/bounded-counter.ts";
import { isSafe } from "../../crdt/counter.ts";
import type { KeysOptions } from "../../store/collections/keys.ts";
import { CounterRangeError, OverloadedError, UsageError } from "../../errors.ts";
import type { Telemetry } from "../../telemetry.ts";
import { Contact } from "./contact.ts";
import type { KeyspaceFigures } from "./figures.ts";
import type { HolderId } from "./holder-id.ts";
import { Holding, type Kept, shownOf } from "./holding.ts";
import type { KeyedChanges } from "./keyed.ts";
import type { Side } from "./pool.ts";
import { RightsTally } from "./rights-tally.ts";
import type { Surroundings } from "./surroundings.ts";

/** What the counters of all collections share, once the replica is open. */
export interface Opened {
  readonly holder: HolderId;
  readonly isDurable: boolean;
  readonly surroundings: Omit<Surroundings, "bounds" | "figures" | "recall" | "given" | "tally">;
  readonly telemetry: Telemetry;
  readonly keyed: KeyedChanges;
  readonly recall: (counters: Counters, key: string) => void;
  readonly given: (counters: Counters, key: string, by: number) => void;
  readonly onMade: (contact: Contact) => void;
}

/** How to spend. */
export interface SpendOptions {
  /** How long to wait for rights of others, in ms. Default 5,000; 0 asks once. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** How to decrement, or to increment with a key. */
export interface DecrementOptions extends SpendOptions {
  /** However often it is asked for with this key, on whatever replica, it counts once. */
  readonly idempotencyKey?: string;
}

export const defaultWaitMs = 5_000;
/** Callers that wait for one counter. */
export const waitingMax = 10_000;

/** All counters of one collection. */
export class Counters {
  readonly name: string;
  readonly type: BoundedCounterType;
  readonly figures: KeyspaceFigures;
  readonly #contacts = new Map<string, Contact>();
  readonly #opened: () => Opened;
  #tally: RightsTally | undefined;

  constructor(
    name: string,
    type: BoundedCounterType,
    figures: KeyspaceFigures,
    opened: () => Opened,
  ) {
    this.name = name;
    this.type = type;
    this.figures = figures;
    this.#opened = opened;
  }

  get contacts(): Iterable<Contact> {
    return this.#contacts.values();
  }

  /** Of those who waited; undefined before a counter was used. */
  get tally(): RightsTally | undefined {
    return this.#tally;
  }

  /** Of a counter that was used here. */
  find(key: string): Contact | undefined {
    return this.#contacts.get(key);
  }

  /** Before anything is changed. @throws ClosedError, InvalidValueError, UsageError in a transaction */
  contact(key: string): Contact {
    if (this.figures.isTransacting) {
      throw new UsageError(
        `${JSON.stringify(this.name)} is a collection of bounded counters, which no transaction can have: ` +
          "what they spend cannot be undone",
      );
    }
    return this.#contacts.get(key) ?? this.#make(key);
  }

  /** What is shown: all that is known here, and what was done here a moment ago. */
  value(key: string): number {
    const { created, spent } = this.figures.totals(key);
    const holding = this.#contacts.get(key)?.holding;
    if (!holding) return boundedValue(this.type, { created, spent });
    const { down, shown } = holding;
    return boundedValue(this.type, {
      created: created + down.created - shown.created,
      spent: spent + down.spent - shown.spent,
    });
  }

  /** Whether the key was ever used, as far as is known here. */
  has(key: string): boolean {
    return this.figures.has(key) || this.#isUnshown(this.#contacts.get(key));
  }

  /** The keys that were ever used; what was used a moment ago is not shown to others yet. */
  keys(options?: KeysOptions): string[] {
    return this.figures.list(options, this.#unshown());
  }

  size(): number {
    return this.figures.size() + this.#unshown().length;
  }

  /** Spends without waiting for anything. */
  trySpend(contact: Contact, side: Side, by: number): boolean {
    const { holding } = contact;
    if (holding.trySpend(side, by)) {
      // Only then it has made room for others.
      if (holding.up !== undefined && contact.waiting > 0) contact.serve();
      return true;
    }
    if (holding.stopped) throw holding.stopped;
    return false;
  }

  /** Resolves when it is spent and on the disk. */
  spend(contact: Contact, side: Side, by: number, options?: SpendOptions): Promise<void> {
    const { holding } = contact;
    if (options?.signal?.aborted === true) return Promise.reject(options.signal.reason as Error);
    if (holding.spend(side, by)) {
      if (holding.up !== undefined && contact.waiting > 0) contact.serve();
      return this.#opened().surroundings.journal.written();
    }
    if (holding.stopped) return Promise.reject(holding.stopped);
    if (contact.waiting >= waitingMax) return Promise.reject(this.#overloaded(contact));
    const { waitMs = defaultWaitMs, signal } = options ?? {};
    return this.#escalated(side === "down" ? "decrement" : "increment", contact, () =>
      contact.wait(side, by, () => holding.spend(side, by), { waitMs, signal }),
    );
  }

  /** The same once only, however often it is asked for. Without an upper bound an increment spends nothing. */
  once(
    contact: Contact,
    side: Side,
    by: number,
    idempotencyKey: string,
    { waitMs = defaultWaitMs, signal }: SpendOptions,
  ): Promise<void> {
    const { holding } = contact;
    const { stopped } = holding;
    const isFree = holding.account(side) === undefined;
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (stopped) return Promise.reject(stopped);
    if (!isFree && contact.waiting >= waitingMax) return Promise.reject(this.#overloaded(contact));
    const check = (): void => (isFree ? this.#assertInRange(holding, by) : undefined);
    const windowMs = this.type.idempotencyWindowMs;
    const asked = { side, by, check, idempotencyKey, windowMs, waitMs, signal };
    const { keyed } = this.#opened();
    const operation = side === "down" ? "decrement" : "increment";
    return this.#escalated(operation, contact, () => keyed.change(contact, asked));
  }

  /** Without an upper bound: at once. @throws CounterRangeError */
  create(contact: Contact, by: number): void {
    const { holding } = contact;
    this.#assertInRange(holding, by);
    if (holding.stopped) throw holding.stopped;
    holding.create(by);
    contact.created();
  }

  /** The disk has it: peers are shown. */
  written(holding: Holding, kept: Kept): void {
    const figures = shownOf(kept);
    // Without a disk, what was created is of use to others once the pool has it.
    const isInPool = holding.isDurable || holding.up !== undefined;
    const created = isInPool ? figures.created : Math.min(figures.created, holding.down.usable);
    const shown = { ...figures, created };
    this.figures.show(holding.key, holding.holder, shown);
    holding.shown = shown;
  }

  /** A holding of this collection that a disk had. */
  restored(key: string, holder: HolderId): Contact {
    return new Contact(this.#holding(key, holder), this.#surroundings());
  }

  /** With all that may be created yet. @throws CounterRangeError */
  #assertInRange({ key, down, rising }: Holding, by: number): void {
    const value = this.value(key);
    if (isSafe(value + rising + by) && isSafe(down.created + rising + by)) return;
    throw new CounterRangeError(
      `${JSON.stringify(key)} cannot grow by ${by}; nothing was changed`,
      { collection: this.name, key, by, value },
    );
  }

  /** What cannot be done with the rights that are here. */
  #escalated(
    operation: string,
    { holding: { key } }: Contact,
    work: () => Promise<void>,
  ): Promise<void> {
    const { calls } = this.#opened().surroundings;
    return calls.run({ operation, route: "escrow", collection: this.name, key }, work);
  }

  #make(key: string): Contact {
    this.figures.check(key);
    const opened = this.#opened();
    const contact = new Contact(this.#holding(key, opened.holder), this.#surroundings());
    this.#contacts.set(key, contact);
    opened.onMade(contact);
    return contact;
  }

  #holding(key: string, holder: HolderId): Holding {
    const { isDurable, surroundings } = this.#opened();
    const { environment, journal } = surroundings;
    return new Holding({
      ...{ collection: this.name, key, holder, isDurable, dirty: journal },
      ...{ hasMax: this.type.max !== undefined, nowMs: environment.monotonic() },
    });
  }

  #surroundings(): Surroundings {
    const { surroundings, telemetry, recall, given } = this.#opened();
    const { min, max, initial } = this.type;
    const tally = (this.#tally ??= new RightsTally(this.name, surroundings.environment, telemetry));
    return {
      ...surroundings,
      tally,
      bounds: { min, max, initial },
      figures: this.figures,
      recall: (key) => {
        tally.recalls++;
        recall(this, key);
      },
      given: (key, by) => given(this, key, by),
    };
  }

  #isUnshown(contact: Contact | undefined): boolean {
    if (!contact) return false;
    const { down, key, shown } = contact.holding;
    if (shown.created + shown.spent > 0) return false;
    return down.created + down.spent > 0 && !this.figures.has(key);
  }

  #unshown(): string[] {
    const unshown: string[] = [];
    for (const [key, contact] of this.#contacts) if (this.#isUnshown(contact)) unshown.push(key);
    return unshown;
  }

  #overloaded(contact: Contact): OverloadedError {
    const { key } = contact.holding;
    return new OverloadedError(
      `${contact.waiting} callers wait for rights of ${JSON.stringify(key)} already; nothing was spent`,
    );
  }
}
