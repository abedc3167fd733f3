/**
 * How is a value written that others write too? A compare-and-set is one round trip if the value that is known
 * here is the latest. If it is not, the refusal says what the latest is, so it was no more than a read. A lease
 * is three round trips, in the line of the store. Being wrong costs time only: all of them commit by the same comparison.
 *
 * On a hot value one write of somebody goes through in each round trip, whoever loses, so compare-and-sets
 * waste nothing that counts, and a line is three times slower. But who has just written knows the latest value,
 * and wins again and again. So: a turn of some writes, then a rest that is long enough for whoever tries all the time to
 * get in. How many writes? What the others wrote since one's last turn, times a share that all have in common, so
 * that who was unlucky for long makes up for it. The share grows a little while turns come soon, and shrinks much
 * when they do not, as windows of TCP do: so all whose ways to the store are about as long come to about the same
 * one, and turns come about every `cycleWrites`. If nobody got in, one is alone, and the next turn is twice as long.
 *
 * Who was overtaken tries again at once with what it was told: one request of each who wants to write is under way,
 * whoever loses. Pauses would spare the store some of them, but what one was told is old after a pause, and who pauses
 * meets the rest of another by chance: in simulation shares became uneven, and two writers a tenth slower. What does
 * pause, longer each time, is who meets a lease, and who is refused by a store that only refuses.
 *
 * When a line then? When what a change computes takes long and is mostly thrown away, when a lease of somebody lasts, or
 * when one is overtaken so often, or for so much of its time, that chance does not explain it.
 *
 * @see Chiu, Jain 1989, "Analysis of the increase and decrease algorithms for congestion avoidance"
 */
import { type Environment, fraction } from "../environment.ts";
import { pauseMsMax } from "./pauses.ts";

/** How one attempt at a write is made: on what is known here, or under a lease. */
export type Attempt = "compare-and-set" | "lease";

/** What one write has met so far. */
export interface Met {
  /** It was overtaken, or kept out, so often. */
  readonly conflicts: number;
  /** A lease kept it out so often, the last times. */
  readonly held: number;
  /** Of the time that its callers give it, from 0 to 1. */
  readonly waitUsed: number;
}

/** What came of a compare-and-set. */
export interface Outcome {
  /** The version that was written; `undefined` if somebody else was quicker. */
  readonly written: bigint | undefined;
  /** To the store and back, lately. */
  readonly roundTripMs: number;
  /** What computing the value took. */
  readonly computeMs: number;
  /** On the monotonic clock. */
  readonly nowMs: number;
}

/** Decides how the writes of one resource are made. */
export interface Strategy {
  /** The next attempt of a write. */
  choose(met: Met): Attempt;
  observe(outcome: Outcome): void;
  /** How long to wait before the next attempt, in ms. */
  pauseMs(met: Pick<Met, "conflicts" | "held">, roundTripMs: number): number;
  /** After a write: how long others go first, in ms. */
  restMs(roundTripMs: number): number;
}

/** All who want to write should have had their turn after so many writes. */
const cycleWrites = 16;
/** What the share grows by in a short cycle, what is left of it in a long one, and its ends. */
const shareGrowth = 0.05;
const shareDecay = 0.7;
const shareMin = 0.02;
const shareMax = 2;
/** Writes of one turn. */
const turnFirst = 4;
const turnMax = 32;
/** A rest, in round trips, and up to so much more: who tries all the time gets in. */
const restRoundTrips = 1.5;
const restSpread = 0.5;
/** The longest rest, in ms: a store that is slow is not made slower. */
const restMsMax = 250;
/** One that was overtaken so often stands in line. */
const conflictsMax = 256;
/** Or one that has used so much of its time: whose way to the store is longer than the rest of others never gets in by itself. */
const waitUsedMax = 0.25;
/**
 * A lease that was met so often lasts: the line is where to wait for it. If all who meet one stood there at once, the line would
 * never end, for who writes next would meet the lease of the next in line. If they looked more often, users of leases would keep them out.
 */
const heldMax = 2;

/** A computation that takes so many round trips is not to be thrown away often. */
const longRoundTrips = 2;
/** So many thrown away are too many, and so few are few enough, for that long. */
const tooMany = 0.6;
const fewEnough = 0.2;
const calmMs = 30_000;
/** So many are watched before a judgement. */
const samplesMin = 20;
/** What one more counts. */
const wasteWeight = 0.1;
/** In so many attempts under a lease one is a compare-and-set, to see how it would do. */
const attemptsPerProbe = 20;

/** Watches one resource. */
export class Contention implements Strategy {
  readonly #environment: Environment;
  /** Of what others write in a cycle, so much is written here. */
  #share = 1;
  /** Writes of the present turn, on average, and how many are left of it. */
  #turn = turnFirst;
  #left = turnFirst;
  /** Versions: of the first write of the present turn, and of the last that was made here. */
  #first = 0n;
  #last: bigint | undefined;
  #hasRested = false;
  readonly #waste = new Waste();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  choose({ conflicts, held, waitUsed }: Met): Attempt {
    const isStarving = conflicts >= conflictsMax || (conflicts > 0 && waitUsed > waitUsedMax);
    const isLease = isStarving || held >= heldMax || this.#waste.choosesLease();
    return isLease ? "lease" : "compare-and-set";
  }

  observe(outcome: Outcome): void {
    this.#waste.observe(outcome);
    const { written } = outcome;
    if (written === undefined) return;
    this.#left--;
    const others = this.#last === undefined ? 0 : Number(written - this.#last) - 1;
    if (this.#last === undefined) this.#first = written;
    this.#last = written;
    if (others > 0) this.#beginAmong(others, written);
    else if (this.#hasRested) this.#beginAlone(written);
    this.#hasRested = false;
  }

  pauseMs({ conflicts, held }: Pick<Met, "conflicts" | "held">, roundTripMs: number): number {
    const roundTrips = 2 * (held + Math.max(0, conflicts - conflictsMax));
    return Math.min(pauseMsMax, roundTrips * roundTripMs * fraction(this.#environment));
  }

  restMs(roundTripMs: number): number {
    if (this.#left > 0) return 0;
    this.#left = 1;
    this.#hasRested = true;
    const roundTrips = restRoundTrips + restSpread * fraction(this.#environment);
    return Math.min(restMsMax, roundTripMs * roundTrips);
  }

  #beginAlone(version: bigint): void {
    this.#first = version;
    this.#turn = Math.min(turnMax, this.#turn * 2);
    this.#left = Math.ceil(this.#turn);
  }

  #beginAmong(others: number, version: bigint): void {
    const cycle = Number(version - this.#first);
    this.#first = version;
    this.#share =
      cycle > cycleWrites
        ? Math.max(shareMin, this.#share * shareDecay)
        : Math.min(shareMax, this.#share + shareGrowth);
    this.#turn = Math.min(turnMax, Math.max(1, this.#share * others));
    this.#left = Math.floor(this.#turn + fraction(this.#environment)) - 1;
  }
}

/** Whether too much of what takes long is computed in vain. */
class Waste {
  #wasted = 0;
  #samples = 0;
  #prefersLease = false;
  #calmSinceMs: number | undefined;
  #attempts = 0;

  choosesLease(): boolean {
    if (!this.#prefersLease) return false;
    return ++this.#attempts % attemptsPerProbe !== 0;
  }

  observe({ written, computeMs, roundTripMs, nowMs }: Outcome): void {
    const isLoss = written === undefined && computeMs > longRoundTrips * roundTripMs;
    this.#samples++;
    this.#wasted += wasteWeight * (Number(isLoss) - this.#wasted);
    if (this.#wasted >= fewEnough) this.#calmSinceMs = undefined;
    else this.#calmSinceMs ??= nowMs;
    if (this.#samples >= samplesMin && this.#wasted > tooMany) this.#prefersLease = true;
    const isCalm = this.#calmSinceMs !== undefined && nowMs - this.#calmSinceMs >= calmMs;
    if (isCalm) this.#prefersLease = false;
  }
}
