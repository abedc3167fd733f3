/**
 * How many rights to take, to keep and to give. Chunks follow the rate of use, so that a busy holder asks
 * seldom; they are cut smaller as the pool runs dry, so that little of what is left lies with somebody who
 * does not need it. Nothing here is about safety.
 */

/** Of its part of what is free one holder takes so much at once, and leaves some for whoever turns up. */
const partMax = 0.75;
/** A chunk lasts about so long at the present rate, in ms. */
const chunkMs = 10_000;
/** What is taken while the rate is not known. */
const firstChunk = 32;
/** The rate follows changes within about this time, in ms. */
const rateMs = 1_000;
/** Without a spend for so long a holder is idle, in ms. */
const idleMs = 500;
/** What a busy holder may keep when others wait, in ms of its use; less each time it is asked again. */
const keepMs = 200;
/** Who has rights for so long waits for half of this before giving some back, in ms. */
const fairMs = 500;
const delayMsMax = 60;
/** Who waits asks about so often, in ms. */
const wantingMs = 300;
/** Requests that come within this time are of one want, in ms. */
const wantMs = 2_000;

/** How fast rights are spent. */
export class Rate {
  #perMs = 0;
  readonly #sinceMs: number;
  #atMs: number;
  #total = 0;
  #usedMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
    this.#atMs = nowMs;
  }

  /** So many were spent in all. */
  observe(total: number, nowMs: number): void {
    const by = total - this.#total;
    if (by > 0) this.#usedMs = nowMs;
    const passedMs = nowMs - this.#atMs;
    if (passedMs < 1) return;
    // While little was seen, all of it counts alike.
    const seenMs = nowMs - this.#sinceMs;
    const weight = (1 - Math.exp(-passedMs / rateMs)) / (1 - Math.exp(-seenMs / rateMs));
    this.#perMs += weight * (by / passedMs - this.#perMs);
    this.#atMs = nowMs;
    this.#total = total;
  }

  get perMs(): number {
    return this.#perMs;
  }

  isIdle(nowMs: number): boolean {
    return nowMs - this.#usedMs >= idleMs;
  }
}

/** What is known when rights are granted. */
export interface Situation {
  readonly free: number;
  readonly sharers: number;
  readonly perMs: number;
  /** Of all that is spent, by all holders, the part that is spent here. */
  readonly part: number;
  /** What those who wait need at once. */
  readonly needed: number;
  /** What is at hand already. */
  readonly rights: number;
}

/** What a holder should have at hand. */
export const chunkOf = (perMs: number): number => Math.max(firstChunk, Math.ceil(perMs * chunkMs));

/** How many to grant. */
export function grantOf({ free, sharers, perMs, part, needed, rights }: Situation): number {
  if (free <= 0) return 0;
  const share = Math.floor(free * Math.max(1 / (2 * sharers), partMax * part));
  const ahead = Math.min(chunkOf(perMs) - rights, share);
  return Math.min(free, Math.max(needed, ahead, 0));
}

/** Below which it is time to ask for more: what is spent while the answer is under way, twice. */
export const lowOf = (perMs: number, roundMs: number, rights: number): number =>
  Math.min(Math.ceil(perMs * roundMs * 2), Math.floor(rights / 2));

/** What a holder does when others wait. */
export class Recalls {
  #asked = 0;
  #askedMs = Number.NEGATIVE_INFINITY;

  /** Somebody waits. */
  heard(nowMs: number): void {
    this.#asked = nowMs - this.#askedMs > wantMs ? 0 : this.#asked + 1;
    this.#askedMs = nowMs;
  }

  /** What stays: of an idle holder nothing, of a busy one half, and in the end what it needs at once, or less. */
  keep(rights: number, rate: Rate, nowMs: number): number {
    if (rate.isIdle(nowMs)) return 0;
    const needed = Math.floor((rate.perMs * keepMs) / 2 ** this.#asked);
    return Math.min(rights, Math.max(needed, this.#asked === 0 ? Math.floor(rights / 2) : 0));
  }
}

/** About how many others wait: each asks again and again. */
export class Wanting {
  #count = 0;
  #atMs = 0;

  heard(nowMs: number): void {
    this.#count = this.#fading(nowMs) + 1;
    this.#atMs = nowMs;
  }

  /** With oneself. */
  count(nowMs: number): number {
    return 1 + this.#fading(nowMs);
  }

  #fading(nowMs: number): number {
    return this.#count * Math.exp((this.#atMs - nowMs) / wantingMs);
  }
}

/** How long to wait before giving back, in ms: who has most to spare is first, and may be enough. */
export function delayOf(rights: number, rate: Rate, nowMs: number): number {
  if (rate.isIdle(nowMs)) return 0;
  const lastsMs = rights / Math.max(rate.perMs, Number.MIN_VALUE);
  return (delayMsMax * fairMs) / (fairMs + lastsMs);
}
