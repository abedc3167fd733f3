/**
 * How is a value written that others write too? A compare-and-set is one round trip if the value that is known
 * here is the latest, and wasted if it is not. Reading first is another round trip, and spares the waste. A
 * lease is three, in the line of the store. Being wrong costs time only: all of them commit by the same
 * comparison.
 *
 * On a hot value one write of somebody goes through in each round trip, whoever loses, so compare-and-sets
 * waste nothing that counts, and a line is three times slower. But who has just written knows the latest value,
 * and wins again and again. So: a run of writes, shorter the more there are who want to, then a rest for
 * one round trip, in which another gets in. If nobody did, the next run is longer. Who was overtaken reads
 * at once the first time and after a random pause later, a longer one the more there are.
 *
 * When a line then? When what a change computes takes long and is mostly thrown away, or when one is overtaken
 * so often that chance does not explain it.
 */
import { type Environment, fraction } from "../environment.ts";
import { pauseMsMax } from "./pauses.ts";

/** How one attempt at a write is made: on what is known here, on what is read first, or under a lease. */
export type Attempt = "known" | "read" | "lease";

/** What came of a compare-and-set. */
export interface Outcome {
  readonly attempt: Attempt;
  readonly wasWasted: boolean;
  /** To the store and back, lately. */
  readonly roundTripMs: number;
  /** What computing the value took. */
  readonly computeMs: number;
  /** On the monotonic clock. */
  readonly nowMs: number;
}

/** Decides how the writes of one resource are made. */
export interface Strategy {
  /** The next attempt of a write that was overtaken so often. */
  choose(conflicts: number): Attempt;
  /** What was known here was read again, and was outdated or not. */
  found(wasOutdated: boolean): void;
  observe(outcome: Outcome): void;
  /** How long to wait before it is tried again, in ms. */
  pauseMs(conflicts: number, roundTripMs: number): number;
  /** After a write: how long others go first, in ms. */
  restMs(roundTripMs: number): number;
}

/** Writes in one run, times those who want to write: so long is a turn of all of them. */
const roundWrites = 20;
/** Where so many want to, hardly anybody writes twice in a row: most wait, so nobody waits much longer than most. */
const manyWriters = 5;
const runOfMany = 1.4;
const runMax = 32;
/** Of attempts against others one more counts so much. */
const weight = 0.05;
const writersMax = 1_000;
/** Attempts of all who write one value in the time of a round trip, about. */
const attemptsAtOnce = 5;
/** One that was overtaken more often has waited long. */
const youngMax = 4;
/** The longest rest, in ms: a store that is slow is not made slower. */
const restMsMax = 250;
/** One that was overtaken so often stands in line. */
const conflictsMax = 128;

/** Of what is known here, and of what was computed in vain: so much of a change in one sight. */
const sightWeight = 0.2;
const commonWeight = 0.02;
/** What is outdated so often is read first. */
const outdatedMax = 0.5;

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

/** How often what is known here is outdated, over all resources: what to think of one that is new. */
export class Outdated {
  share = 0;

  see(wasOutdated: boolean): void {
    this.share += commonWeight * (Number(wasOutdated) - this.share);
  }
}

/** Watches one resource. */
export class Contention implements Strategy {
  readonly #environment: Environment;
  readonly #common: Outdated;
  #outdated = 0;
  #sights = 0;
  /** Of the attempts that met others on even terms. */
  #lost = 0;
  /** Of the write under way. */
  #conflicts = 0;
  #run = 4;
  #left = 4;
  #hasRested = false;
  readonly #waste = new Waste();

  constructor(environment: Environment, common: Outdated = new Outdated()) {
    this.#environment = environment;
    this.#common = common;
  }

  choose(conflicts: number): Attempt {
    this.#conflicts = conflicts;
    if (conflicts >= conflictsMax || this.#waste.choosesLease()) return "lease";
    if (conflicts > 0) return "read";
    const outdated = this.#sights === 0 ? this.#common.share : this.#outdated;
    return !this.#hasRested && outdated > outdatedMax ? "read" : "known";
  }

  found(wasOutdated: boolean): void {
    this.#sights++;
    this.#outdated +=
      Math.max(sightWeight, 1 / this.#sights) * (Number(wasOutdated) - this.#outdated);
    this.#common.see(wasOutdated);
  }

  observe(outcome: Outcome): void {
    const { attempt, wasWasted } = outcome;
    this.#waste.observe(outcome);
    const isFirst = this.#conflicts === 0;
    if (this.#hasRested || !isFirst) this.#lost += weight * (Number(wasWasted) - this.#lost);
    else if (attempt === "known") this.found(wasWasted);
    if (wasWasted) return;
    this.#left--;
    if (!isFirst) {
      this.#run = this.#runAmongOthers();
      this.#left = this.#run - 1;
    } else if (this.#hasRested) {
      this.#run = Math.min(runMax, this.#run * 2);
      this.#left = this.#run;
    }
    this.#hasRested = false;
  }

  pauseMs(conflicts: number, roundTripMs: number): number {
    if (conflicts === 1) return 0;
    // All together ask about as often, however many they are; who has waited long asks sooner.
    const meanRoundTrips = Math.max(1, this.#writers / attemptsAtOnce);
    const share = conflicts > youngMax ? meanRoundTrips - 1 : meanRoundTrips;
    return Math.min(pauseMsMax, 2 * share * roundTripMs * fraction(this.#environment));
  }

  restMs(roundTripMs: number): number {
    if (this.#left > 0) return 0;
    this.#left = this.#run;
    this.#hasRested = true;
    return Math.min(restMsMax, roundTripMs * (0.5 + fraction(this.#environment)));
  }

  /** Of n who try on even terms one wins. */
  get #writers(): number {
    return 1 / Math.max(1 - this.#lost, 1 / writersMax);
  }

  #runAmongOthers(): number {
    const run = roundWrites / this.#writers;
    const most = this.#writers > manyWriters ? Math.min(run, runOfMany) : run;
    return Math.min(runMax, Math.max(1, Math.floor(most + fraction(this.#environment))));
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

  observe({ wasWasted, computeMs, roundTripMs, nowMs }: Outcome): void {
    const isLoss = wasWasted && computeMs > longRoundTrips * roundTripMs;
    this.#samples++;
    this.#wasted += wasteWeight * (Number(isLoss) - this.#wasted);
    if (this.#wasted >= fewEnough) this.#calmSinceMs = undefined;
    else this.#calmSinceMs ??= nowMs;
    if (this.#samples >= samplesMin && this.#wasted > tooMany) this.#prefersLease = true;
    const isCalm = this.#calmSinceMs !== undefined && nowMs - this.#calmSinceMs >= calmMs;
    if (isCalm) this.#prefersLease = false;
  }
}
