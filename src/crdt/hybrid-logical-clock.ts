/**
 * How can one safe integer order writes of machines whose clocks disagree?
 *
 * A stamp is `ms * 2**11 + n`: the wall clock in ms above an 11-bit counter. Within one ms, or
 * while the wall clock is behind, the counter moves; when it overflows it carries into the ms part,
 * so stamps only grow. Comparing stamps is comparing numbers, and the 8 big-endian bytes of a stamp
 * sort as the stamps do. Two actors may draw the same stamp: order those by actor.
 *
 * @see Kulkarni, Demirbas, Madappa, Avva, Leone 2014, "Logical Physical Clocks"
 */

/** `ms * 2**11 + n`, a non-negative safe integer. Good until the year 2109. */
export type Timestamp = number;

/** Stamps per ms before the counter carries into the ms part. */
export const stampsPerMs = 2048;

/** Stamps further ahead of our wall clock are held: one bad clock must not win every register. */
export const defaultClockAheadMsMax = 60_000;

/** What a clock is made of. */
export interface ClockOptions {
  /** Wall clock in ms since the Unix epoch; `Date.now`, for instance. */
  readonly now: () => number;
  /** How far ahead of the wall clock a received stamp may be, in ms. Default 60,000. */
  readonly aheadMsMax?: number;
  /** No stamp at or below this is issued: the durable bound of a former life. Default 0. */
  readonly after?: Timestamp;
}

/** Issues stamps that only grow, through clock steps, overflow and received stamps. */
export class HybridLogicalClock {
  readonly #wallMs: () => number;
  readonly #ahead: number;
  #last: Timestamp;

  constructor(options: ClockOptions) {
    this.#wallMs = options.now;
    this.#ahead = (options.aheadMsMax ?? defaultClockAheadMsMax) * stampsPerMs;
    this.#last = options.after ?? 0;
  }

  /**
   * A stamp larger than every stamp issued or received before. O(1).
   * @throws RangeError when the stamp would leave the safe integers; nothing changes.
   */
  now(): Timestamp {
    const wall = Math.floor(this.#wallMs()) * stampsPerMs;
    const next = wall > this.#last ? wall : this.#last + 1;
    if (!(next <= Number.MAX_SAFE_INTEGER)) throw new RangeError(`no stamp after ${this.#last}`);
    this.#last = next;
    return next;
  }

  /**
   * Takes notice of another clock's stamp: the next one issued here is larger. A stamp further
   * ahead than the bound is *held*: it does not move this clock. O(1).
   * @returns whether the stamp was within the bound.
   */
  receive(stamp: Timestamp): boolean {
    if (stamp <= this.#last) return true;
    if (this.isHeld(stamp)) return false;
    this.#last = stamp;
    return true;
  }

  /** Goes on after what this clock issued in an earlier life, however far ahead that is. */
  resume(after: Timestamp): void {
    this.#last = Math.max(this.#last, after);
  }

  /** Whether `stamp` is, now, further ahead of the wall clock than the bound. */
  isHeld(stamp: Timestamp): boolean {
    return stamp > this.#wallMs() * stampsPerMs + this.#ahead;
  }

  /** The bound on stamps of others, in ms ahead of the wall clock. */
  get aheadMsMax(): number {
    return this.#ahead / stampsPerMs;
  }

  /** The largest stamp issued or received. */
  get last(): Timestamp {
    return this.#last;
  }
}

/** The wall-clock part of a stamp, in ms since the Unix epoch. */
export const stampMs = (stamp: Timestamp): number => Math.floor(stamp / stampsPerMs);

/** Whether `stamp` is one that a clock can issue; for input that is not trusted. */
export const isTimestamp = (stamp: number): boolean => Number.isSafeInteger(stamp) && stamp >= 0;

/** Writes `stamp` as 8 big-endian bytes at `offset`; the bytes sort as the stamps do. */
export function writeStamp(stamp: Timestamp, target: Uint8Array, offset = 0): void {
  if (offset < 0 || offset + 8 > target.length) throw new RangeError(`no 8 bytes at ${offset}`);
  let high = Math.floor(stamp / 2 ** 32);
  let low = stamp >>> 0;
  for (let i = 3; i >= 0; i--) {
    target[offset + i] = high & 0xff;
    target[offset + 4 + i] = low & 0xff;
    high >>>= 8;
    low >>>= 8;
  }
}

/**
 * Reads the 8 bytes that `writeStamp` wrote.
 * @throws RangeError when they are not there, or hold no stamp.
 */
export function readStamp(source: Uint8Array, offset = 0): Timestamp {
  if (offset < 0 || offset + 8 > source.length) throw new RangeError(`no 8 bytes at ${offset}`);
  let stamp = 0;
  for (let i = 0; i < 8; i++) stamp = stamp * 256 + (source[offset + i] as number);
  if (!isTimestamp(stamp)) throw new RangeError(`not a stamp: ${stamp}`);
  return stamp;
}
