/**
 * A circuit breaker: after failures in a row it lets nothing through for a while, then one, which decides.
 * So a dead server costs its callers nothing but the answer that it is dead.
 *
 * @see Nygard 2007, "Release It!"
 */
import { type Environment, fraction } from "../environment.ts";

/** What it does with who comes. */
export type CircuitState = "closed" | "open" | "probing";

/** Failures in a row that open it. */
export const failuresMax = 5;
/** How long it stays open: the first time, in ms; twice as long each time that the probe fails. */
export const openMsMin = 500;
/** The longest, in ms. */
export const openMsMax = 30_000;

/** Counts what goes well and what fails; who calls says which it was. */
export class Circuit {
  readonly #environment: Environment;
  #failures = 0;
  #openMs = openMsMin;
  #openUntilMs: number | undefined;
  #isProbing = false;
  /** Of all that was told it, so many failures; and so often it opened. */
  readonly counts = { failures: 0, openings: 0 };

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  get state(): CircuitState {
    if (this.#openUntilMs === undefined) return "closed";
    return this.#isProbing ? "probing" : "open";
  }

  /** Ms until it makes sense to ask again. */
  get leftMs(): number {
    return Math.max(0, (this.#openUntilMs ?? 0) - this.#environment.monotonic());
  }

  /** Whether a call may go through. Each that does ends with one of the three below. */
  enter(): boolean {
    if (this.#openUntilMs === undefined) return true;
    if (this.#isProbing || this.leftMs > 0) return false;
    this.#isProbing = true;
    return true;
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openMs = openMsMin;
    this.#openUntilMs = undefined;
    this.#isProbing = false;
  }

  failed(): void {
    this.#failures++;
    this.counts.failures++;
    const probeFailed = this.#isProbing;
    this.#isProbing = false;
    if (!probeFailed && (this.#failures < failuresMax || this.#openUntilMs !== undefined)) return;
    this.counts.openings++;
    const jitter = 0.5 + fraction(this.#environment) / 2;
    this.#openUntilMs = this.#environment.monotonic() + this.#openMs * jitter;
    this.#openMs = Math.min(openMsMax, this.#openMs * 2);
  }

  /** The caller gave up: it says nothing about the other side. */
  abandoned(): void {
    this.#isProbing = false;
  }
}
