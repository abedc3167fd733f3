/**
 * How the pool of a counter is written. Many holders write it, each of them seldom, so what one of them remembers
 * is mostly outdated, and how soon a round is through matters less than how often the store is asked for
 * it: it is read first, pauses grow, and who was overtaken a few times stands in line.
 */
import { type Environment, fraction } from "../../environment.ts";
import type { Attempt, Outcome, Strategy } from "../contention.ts";
import { pauseMsMax } from "../pauses.ts";

/** One that was overtaken so often stands in line. */
const conflictsMax = 4;
/** What is known here is tried as long as so much of it, lately, was the latest. */
const outdatedMax = 0.5;
const weight = 0.3;

/** For one pool. */
export class PoolStrategy implements Strategy {
  readonly #environment: Environment;
  /** How much of what was known here was outdated. */
  #outdated = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  choose(conflicts: number): Attempt {
    if (conflicts >= conflictsMax) return "lease";
    return conflicts > 0 || this.#outdated > outdatedMax ? "read" : "known";
  }

  found(wasOutdated: boolean): void {
    this.#outdated += weight * (Number(wasOutdated) - this.#outdated);
  }

  observe({ attempt, wasWasted }: Outcome): void {
    if (attempt === "known") this.found(wasWasted);
  }

  pauseMs(conflicts: number, roundTripMs: number): number {
    if (conflicts <= 1) return 0;
    return Math.min(
      pauseMsMax,
      roundTripMs * (1 + 3 ** (conflicts - 1) * fraction(this.#environment)),
    );
  }

  restMs(): number {
    return 0;
  }
}
