/** Counts of what happened lately, by key. */
import { noCell } from "../../crdt/cells.ts";
import {
  addHits,
  bucketsMax,
  countHits,
  type Hits,
  type RateWindowType,
  readHits,
  windowMsMax,
} from "../../crdt/rate-window.ts";
import { CounterRangeError, InvalidValueError, UsageError } from "../../errors.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import type { RateSweep } from "../rates/rate-sweep.ts";
import { WindowClock } from "../rates/window-clock.ts";
import { checkBy } from "./counters.ts";
import { Keys, type KeysOptions } from "./keys.ts";

/** @throws UsageError */
function checkType({ windowMs, buckets }: RateWindowType): void {
  if (!Number.isSafeInteger(windowMs) || windowMs < 1 || windowMs > windowMsMax) {
    throw new UsageError(`windowMs is an integer from 1 to ${windowMsMax}, not ${windowMs}`);
  }
  if (!Number.isSafeInteger(buckets) || buckets < 1 || buckets > Math.min(bucketsMax, windowMs)) {
    const most = Math.min(bucketsMax, windowMs);
    throw new UsageError(`buckets is an integer from 1 to ${most}, not ${buckets}`);
  }
}

/** A collection of counts of what happened within the last `windowMs`. */
export class RateWindowCollection {
  readonly #keys: Keys;
  readonly #keyspace: Keyspace;
  readonly #clock: WindowClock;
  readonly #name: string;

  /** @throws UsageError when the window or its division cannot be. */
  constructor(keyspace: Keyspace, root: Root, type: RateWindowType, sweep: RateSweep) {
    checkType(type);
    const { windowMs, buckets } = type;
    const { aheadMsMax } = keyspace.clock;
    this.#keys = new Keys(keyspace, root);
    this.#keyspace = keyspace;
    this.#clock = new WindowClock(keyspace.environment, { windowMs, buckets, aheadMsMax });
    this.#name = root.name;
    sweep.add(root, this.#clock);
  }

  /**
   * Counts `by` more, a positive safe integer, in the present bucket. O(buckets).
   * @throws InvalidValueError, CounterRangeError, ClosedError; nothing is changed then.
   */
  hit(key: string, by = 1): void {
    this.#count(key, checkBy(by));
  }

  /**
   * Counts `by` more unless that would bring the count that is seen here above `limit`. O(replicas x
   * buckets). What other replicas count meanwhile is not seen: together they may go beyond the limit by
   * what is on the way, and each up to the limit while it is cut off.
   * @returns whether it was counted. @throws as `hit` does.
   */
  tryHit(key: string, limit: number, by = 1): boolean {
    const amount = checkBy(by);
    if (!Number.isSafeInteger(limit) || limit < 0) {
      throw new InvalidValueError(`the limit is ${limit}; nothing was changed`, {
        path: "limit",
        reason: "is not a non-negative safe integer",
      });
    }
    if (this.value(key) > limit - amount) return false;
    this.#count(key, amount);
    return true;
  }

  /**
   * All hits of the last `windowMs` that are seen here, and perhaps some that are older by less than one
   * bucket. O(replicas that hit x buckets).
   */
  value(key: string): number {
    const writers = this.#keys.children(key);
    if (writers === undefined) return 0;
    this.#clock.read();
    let sum = 0;
    for (const slot of writers.children.values())
      sum += countHits(this.#hits(slot), this.#clock.counts);
    return Math.min(sum, Number.MAX_SAFE_INTEGER);
  }

  /** Removes all hits that are seen here; those of writers that hit meanwhile survive. */
  delete(key: string): void {
    this.#keys.remove(key);
  }

  /** The count of one key. It stays valid for ever. */
  at(key: string): RateWindowHandle {
    return new RateWindowHandle(this, key);
  }

  /** The keys with any bucket left, in the order of code units: some may be over. O(n log n). */
  keys(options?: KeysOptions): string[] {
    return this.#keys.list(options);
  }

  /** Whether the key has any bucket left. O(1). */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** How many keys have any bucket left. O(1). */
  size(): number {
    return this.#keys.size();
  }

  #count(key: string, by: number): void {
    const writers = this.#keys.container(key);
    const { actor } = this.#keyspace;
    const slot = writers.children.get(actor) ?? this.#keyspace.child(writers, actor);
    const hits = this.#hits(slot);
    const value = countHits(hits, always);
    if (value > Number.MAX_SAFE_INTEGER - by) this.#refuse(key, by, value);
    const bucket = this.#clock.read();
    this.#keyspace.assign(slot, addHits(hits, bucket, by, this.#clock.isOver));
  }

  #refuse(key: string, by: number, value: number): never {
    const message =
      `${this.#name} ${JSON.stringify(key)} at ${value} here cannot grow by ${by} within the safe ` +
      "integers; nothing was changed";
    throw new CounterRangeError(message, { collection: this.#name, key, by, value });
  }

  /** What stands in one writer's slot. There is one cell, unless somebody else writes as the same actor. */
  #hits(slot: number): Hits {
    const { cells, nodes } = this.#keyspace;
    let hits: Hits = [];
    for (let cell = nodes.head(slot); cell !== noCell; cell = cells.next(cell)) {
      if (!cells.isLive(cell)) continue;
      const these = readHits(cells.payload(cell));
      if (hits.length === 0) hits = these;
      else for (let i = 0; i < these.length; i += 2) hits = joined(hits, these[i], these[i + 1]);
    }
    return hits;
  }
}

const always = (): boolean => true;
const joined = (hits: Hits, bucket = 0, count = 0): Hits =>
  addHits(hits, bucket, count, () => false);

/** The count of one key. */
export class RateWindowHandle {
  readonly #windows: RateWindowCollection;
  readonly key: string;

  constructor(windows: RateWindowCollection, key: string) {
    this.#windows = windows;
    this.key = key;
  }

  /** As `RateWindowCollection.hit`. */
  hit(by = 1): void {
    this.#windows.hit(this.key, by);
  }

  /** As `RateWindowCollection.tryHit`. */
  tryHit(limit: number, by = 1): boolean {
    return this.#windows.tryHit(this.key, limit, by);
  }

  value(): number {
    return this.#windows.value(this.key);
  }

  has(): boolean {
    return this.#windows.has(this.key);
  }

  delete(): void {
    this.#windows.delete(this.key);
  }
}
