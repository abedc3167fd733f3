/** When to dial again: later each time, and never in step with others (decorrelated jitter). */
import { type Environment, fraction } from "../environment.ts";

/** The first wait, and the least, in ms. */
export const backoffMsMin = 100;
/** The longest wait, in ms. */
export const backoffMsMax = 30_000;

/** The waits between attempts. */
export class Backoff {
  readonly #environment: Environment;
  #lastMs: number = backoffMsMin;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The next wait, in ms. */
  next(): number {
    const limitMs = Math.min(backoffMsMax, this.#lastMs * 3);
    this.#lastMs = backoffMsMin + fraction(this.#environment) * (limitMs - backoffMsMin);
    return this.#lastMs;
  }

  /** The last attempt went well. */
  reset(): void {
    this.#lastMs = backoffMsMin;
  }

  /** Trying again soon makes no sense: the next wait is one of the longest. */
  exhaust(): number {
    this.#lastMs = backoffMsMax * (0.5 + 0.5 * fraction(this.#environment));
    return this.#lastMs;
  }
}
