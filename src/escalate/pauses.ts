/** How long to wait between attempts that got in each other's way. */
import { type Environment, fraction } from "../environment.ts";

/** The longest pause, in ms. */
export const pauseMsMax = 1_000;

/**
 * The first retry at once, since most conflicts are over by then; from the second on with decorrelated
 * jitter, from the time that one attempt takes up to three times the last pause.
 */
export class Pauses {
  readonly #environment: Environment;
  readonly #leastMs: number;
  #lastMs = 0;
  #retries = 0;

  /** `attemptMs`: what one attempt takes. */
  constructor(environment: Environment, attemptMs: number) {
    this.#environment = environment;
    this.#leastMs = Math.min(Math.max(attemptMs, 1), pauseMsMax);
  }

  /** The next pause, in ms. */
  next(): number {
    if (this.#retries++ === 0) return 0;
    const most = Math.min(pauseMsMax, Math.max(this.#lastMs, this.#leastMs) * 3);
    this.#lastMs = this.#leastMs + fraction(this.#environment) * (most - this.#leastMs);
    return this.#lastMs;
  }
}
