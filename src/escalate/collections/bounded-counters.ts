/** Bounded counters by key: local as long as rights last, never removed. */
import { InvalidValueError } from "../../errors.ts";
import type { KeysOptions } from "../../store/collections/keys.ts";
import type { Contact } from "../escrow/contact.ts";
import type { Counters, DecrementOptions, SpendOptions } from "../escrow/counters.ts";

export type { DecrementOptions, SpendOptions } from "../escrow/counters.ts";

/** What an increment is: at once, or, with an upper bound, once it has the right and its disk has it. */
export type Incremented<Max extends number | undefined> = Max extends number ? Promise<void> : void;

/** How to increment once only. */
export interface OnceOptions extends SpendOptions {
  /** However often it is asked for with this key, on whatever replica, it counts once. */
  readonly idempotencyKey: string;
}

/** How to increment otherwise. */
type PlainOptions = SpendOptions & { readonly idempotencyKey?: undefined };

const keyBytesMax = 1_024;

function checkBy(by: number): number {
  if (typeof by === "number" && (by | 0) === by && by > 0) return by;
  if (Number.isSafeInteger(by) && by > 0) return by;
  throw new InvalidValueError(`a counter cannot move by ${by}; nothing was changed`, {
    path: "by",
    reason: "is not a positive safe integer",
  });
}

/** A collection of bounded counters. Changes throw `UsageError` inside `transact`. */
export class BoundedCounterCollection<Max extends number | undefined = number | undefined> {
  readonly #counters: Counters;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /**
   * Adds `by`, a positive safe integer. Without an upper bound that is a local write; with one it is what
   * `decrement` is to the lower bound. With an `idempotencyKey` it is waited for in any case: until it is set
   * aside on the disk of this replica, if it has one, its key claimed in the strong store, and that counted. A
   * key is apart from the same key of a decrement.
   * @throws InvalidValueError, CounterRangeError, ClosedError, UsageError; nothing is changed then. What is
   * waited for rejects as `decrement` does.
   */
  increment(key: string, by: number, options: OnceOptions): Promise<void>;
  increment(key: string, by?: number, options?: PlainOptions): Incremented<Max>;
  increment(key: string, by = 1, options?: OnceOptions | PlainOptions): Promise<void> | void {
    return increment(this.#counters, this.#counters.contact(key), checkBy(by), options);
  }

  /** Adds `by` if that is possible without waiting. Without an upper bound it always is. */
  tryIncrement(key: string, by = 1): boolean {
    return tryIncrement(this.#counters, this.#counters.contact(key), checkBy(by));
  }

  /**
   * Takes `by` away, a positive safe integer. Resolves when that is on the disk of this replica, if it has
   * one. Spends rights that are here, or waits for such up to `waitMs`.
   * @throws InsufficientError so much is not left anywhere; RightsUnavailableError it is, but its holders did
   * not give it up in time, or the pool could not be asked; StorageError; UnknownOutcomeError with an
   * `idempotencyKey`, whose claim was not answered: ask again; OverloadedError, the reason of `signal`;
   * StoreRolledBackError, ClosedError, InvalidValueError, UsageError.
   */
  decrement(key: string, by = 1, options?: DecrementOptions): Promise<void> {
    return decrement(this.#counters, this.#counters.contact(key), checkBy(by), options);
  }

  /**
   * Takes `by` away if the rights to it are here and can be spent without waiting for the disk. False says
   * nothing about what others have. O(1).
   */
  tryDecrement(key: string, by = 1): boolean {
    return this.#counters.trySpend(this.#counters.contact(key), "down", checkBy(by));
  }

  /** What is known here, within the bounds; it may lag. `initial` if nothing is. O(1), mostly. */
  value(key: string): number {
    this.#counters.figures.check(key);
    return this.#counters.value(key);
  }

  /** How much can be taken away here without asking anybody. O(1). */
  rights(key: string): number {
    this.#counters.figures.check(key);
    return rights(this.#counters.find(key));
  }

  /** The counter of one key, without the look-up. It stays valid for ever. */
  at(key: string): BoundedCounterHandle<Max> {
    return new BoundedCounterHandle<Max>(this.#counters, key);
  }

  /** The keys that were ever used, in the order of code units. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#counters.keys(options);
  }

  /** Whether the key was ever used. O(1). */
  has(key: string): boolean {
    return this.#counters.has(key);
  }

  /** How many keys were ever used. O(keys used here). */
  size(): number {
    return this.#counters.size();
  }
}

/** The counter of one key. */
export class BoundedCounterHandle<Max extends number | undefined = number | undefined> {
  #contact: Contact | undefined;
  readonly #counters: Counters;
  readonly key: string;

  constructor(counters: Counters, key: string) {
    counters.figures.check(key);
    this.#counters = counters;
    this.key = key;
  }

  /** As `BoundedCounterCollection.increment`. */
  increment(by: number, options: OnceOptions): Promise<void>;
  increment(by?: number, options?: PlainOptions): Incremented<Max>;
  increment(by = 1, options?: OnceOptions | PlainOptions): Promise<void> | void {
    return increment(this.#counters, this.#used(), checkBy(by), options);
  }

  /** As `BoundedCounterCollection.tryIncrement`. */
  tryIncrement(by = 1): boolean {
    return tryIncrement(this.#counters, this.#used(), checkBy(by));
  }

  /** As `BoundedCounterCollection.decrement`. */
  decrement(by = 1, options?: DecrementOptions): Promise<void> {
    return decrement(this.#counters, this.#used(), checkBy(by), options);
  }

  /** As `BoundedCounterCollection.tryDecrement`. */
  tryDecrement(by = 1): boolean {
    return this.#counters.trySpend(this.#used(), "down", checkBy(by));
  }

  /** As `BoundedCounterCollection.value`. */
  value(): number {
    this.#counters.figures.check(this.key);
    return this.#counters.value(this.key);
  }

  /** As `BoundedCounterCollection.rights`. */
  rights(): number {
    this.#counters.figures.check(this.key);
    return rights(this.#counters.find(this.key));
  }

  /** Whether the key was ever used. */
  has(): boolean {
    return this.#counters.has(this.key);
  }

  /** A counter that was used is never forgotten. */
  #used(): Contact {
    const contact = this.#contact;
    if (contact === undefined || this.#counters.figures.isTransacting) {
      return (this.#contact = this.#counters.contact(this.key));
    }
    return contact;
  }
}

function increment(
  counters: Counters,
  contact: Contact,
  by: number,
  options: OnceOptions | PlainOptions | undefined,
): Promise<void> | undefined {
  const key = options?.idempotencyKey;
  if (options !== undefined && key !== undefined) {
    return counters.once(contact, "up", by, checkKey(key), options);
  }
  if (counters.type.max !== undefined) return counters.spend(contact, "up", by, options);
  counters.create(contact, by);
  return undefined;
}

function tryIncrement(counters: Counters, contact: Contact, by: number): boolean {
  if (counters.type.max !== undefined) return counters.trySpend(contact, "up", by);
  counters.create(contact, by);
  return true;
}

function decrement(
  counters: Counters,
  contact: Contact,
  by: number,
  options: DecrementOptions | undefined,
): Promise<void> {
  const key = options?.idempotencyKey;
  if (options === undefined || key === undefined) {
    return counters.spend(contact, "down", by, options);
  }
  return counters.once(contact, "down", by, checkKey(key), options);
}

function checkKey(key: string): string {
  if (typeof key === "string" && key !== "" && Buffer.byteLength(key) <= keyBytesMax) return key;
  throw new InvalidValueError("an idempotency key is a string of 1 to 1,024 bytes", {
    path: "idempotencyKey",
    reason: "is not a string of 1 to 1,024 bytes",
  });
}

function rights(contact: Contact | undefined): number {
  if (!contact) return 0;
  const { down } = contact.holding;
  return down.rights + down.blocking;
}
