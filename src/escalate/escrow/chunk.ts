/**
 * How many rights to take, to keep and to give. Chunks follow the rate of use, so that a busy holder asks
 * seldom; they are cut smaller as the pool runs dry, so that little of what is left lies with somebody who
 * does not need it. Nothing here is about safety.
 */

/** A chunk lasts about so long at the present rate, in ms. */
const chunkMs = 5_000;
/** What is taken while the rate is not known. */
const firstChunk = 16;
/** The rate follows changes within about this time, in ms. */
const rateMs = 1_000;
/** Without a spend for so long a holder is idle, in ms. */
const idleMs = 500;
/** What a busy holder may keep when others wait, in ms of its use; less each time it is asked again. */
const keepMs = 200;
/** Requests that come within this time are of one want, in ms. */
const wantMs = 2_000;

/** How fast rights are spent. */
export class Rate {
  #perMs = 0;
  #atMs: number;
  #total = 0;
  #usedMs = Number.NEGATIVE_INFINITY;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** So many were spent in all. */
  observe(total: number, nowMs: number): void {
    const by = total - this.#total;
    if (by > 0) this.#usedMs = nowMs;
    const passedMs = nowMs - this.#atMs;
    if (passedMs < 1) return;
    this.#perMs += (1 - Math.exp(-passedMs / rateMs)) * (by / passedMs - this.#perMs);
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
  /** What those who wait need at once. */
  readonly needed: number;
  /** What is at hand already. */
  readonly rights: number;
}

/** What a holder should have at hand. */
export const chunkOf = (perMs: number): number => Math.max(firstChunk, Math.ceil(perMs * chunkMs));

/** How many to grant. */
export function grantOf({ free, sharers, perMs, needed, rights }: Situation): number {
  if (free <= 0) return 0;
  const share = Math.floor(free / (2 * sharers));
  const ahead = Math.min(chunkOf(perMs) - rights, share);
  return Math.min(free, Math.max(needed, ahead, 0));
}

/** Below which it is time to ask for more: what is spent while the answer is under way, twice. */
export const lowOf = (perMs: number, roundMs: number): number => Math.ceil(perMs * roundMs * 2);

/** How much a holder keeps when others wait. */
export class Recalls {
  #asked = 0;
  #askedMs = Number.NEGATIVE_INFINITY;

  /** Somebody waits. */
  heard(nowMs: number): void {
    this.#asked = nowMs - this.#askedMs > wantMs ? 0 : this.#asked + 1;
    this.#askedMs = nowMs;
  }

  keep(rate: Rate, nowMs: number): number {
    return rate.isIdle(nowMs) ? 0 : Math.floor((rate.perMs * keepMs) / 2 ** this.#asked);
  }
}
