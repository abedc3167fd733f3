/**
 * How locks do here: how long they are waited for and held, and how often they are lost. A lock costs round
 * trips, so counting costs nothing beside it.
 */
import type { Environment } from "../environment.ts";

/** Locks that are told apart; those that were not used for the longest time are forgotten. */
export const lockFiguresMax = 256;
/** What the last wait, or hold, counts in the mean. */
const meanWeight = 0.2;

/** Of one lock, by callers of this replica. */
export interface LockFigure {
  readonly resource: string;
  readonly granted: number;
  /** Not granted in time. */
  readonly timeouts: number;
  /** Not granted for another reason: the backend, the caller's signal. */
  readonly failures: number;
  /** Leases that were lost before they were given back. */
  readonly losses: number;
  /** Callers that wait for it now. */
  readonly waiting: number;
  /** For how long it is held now, in ms; absent if it is not held here. */
  readonly heldMs?: number;
  /** Of the last few, the later counting more, in ms. */
  readonly meanWaitMs: number;
  readonly meanHoldMs: number;
  readonly longestWaitMs: number;
  readonly longestHoldMs: number;
}

/** Of all locks together, since the start. */
export interface LockTotals {
  readonly granted: number;
  readonly released: number;
  readonly timeouts: number;
  readonly failures: number;
  readonly losses: number;
  readonly waiting: number;
  readonly held: number;
  /** Sums over those that were granted, and over those that were given back, in ms. */
  readonly waitMs: number;
  readonly holdMs: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface Entry extends Mutable<Omit<LockFigure, "resource" | "heldMs">> {
  heldSinceMs: number | undefined;
}

/** How a wait ended that was in vain. */
export type WaitEnd = "timeouts" | "failures";

/** Told of each step of each lock. */
export class LockFigures {
  readonly #environment: Environment;
  readonly #entries = new Map<string, Entry>();
  readonly #totals: Mutable<LockTotals> = {
    ...{ granted: 0, released: 0, timeouts: 0, failures: 0, losses: 0, waiting: 0, held: 0 },
    ...{ waitMs: 0, holdMs: 0 },
  };

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  get totals(): LockTotals {
    return { ...this.#totals };
  }

  /** The latest used first, at most `count`. */
  latest(count: number): readonly LockFigure[] {
    const nowMs = this.#environment.monotonic();
    return [...this.#entries]
      .slice(-count)
      .toReversed()
      .map(([resource, { heldSinceMs, ...entry }]) => ({
        ...{ resource, ...entry },
        ...(heldSinceMs === undefined ? {} : { heldMs: nowMs - heldSinceMs }),
      }));
  }

  /** Somebody begins to wait. */
  waits(resource: string): void {
    this.#entry(resource).waiting++;
    this.#totals.waiting++;
  }

  /** It was not granted. */
  waitedInVain(resource: string, end: WaitEnd): void {
    const entry = this.#entry(resource);
    entry.waiting = Math.max(0, entry.waiting - 1);
    entry[end]++;
    this.#totals.waiting--;
    this.#totals[end]++;
  }

  granted(resource: string, waitedMs: number): void {
    const entry = this.#entry(resource);
    entry.waiting = Math.max(0, entry.waiting - 1);
    entry.granted++;
    entry.meanWaitMs = mean(entry.meanWaitMs, waitedMs, entry.granted);
    entry.longestWaitMs = Math.max(entry.longestWaitMs, waitedMs);
    entry.heldSinceMs = this.#environment.monotonic();
    this.#totals.waiting--;
    this.#totals.granted++;
    this.#totals.held++;
    this.#totals.waitMs += waitedMs;
  }

  /** It was given back, or was found lost. */
  released(resource: string, heldMs: number, isLost: boolean): void {
    const entry = this.#entry(resource);
    entry.heldSinceMs = undefined;
    entry.meanHoldMs = mean(entry.meanHoldMs, heldMs, entry.granted);
    entry.longestHoldMs = Math.max(entry.longestHoldMs, heldMs);
    if (isLost) entry.losses++;
    this.#totals.held--;
    this.#totals.released++;
    this.#totals.holdMs += heldMs;
    if (isLost) this.#totals.losses++;
  }

  #entry(resource: string): Entry {
    const entry = this.#entries.get(resource) ?? newEntry();
    this.#entries.delete(resource);
    this.#entries.set(resource, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= lockFiguresMax) break;
      this.#entries.delete(oldest);
    }
    return entry;
  }
}

const newEntry = (): Entry => ({
  ...{ granted: 0, timeouts: 0, failures: 0, losses: 0, waiting: 0, heldSinceMs: undefined },
  ...{ meanWaitMs: 0, meanHoldMs: 0, longestWaitMs: 0, longestHoldMs: 0 },
});

const mean = (before: number, now: number, count: number): number =>
  count <= 1 ? now : before + meanWeight * (now - before);
