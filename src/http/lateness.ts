/**
 * How late is the event loop? The larger of what a timer saw lately, and how long the present turn takes
 * already: requests of one turn come one after the other, and the last ones wait for all before them.
 */
import type { Environment, Timer } from "../environment.ts";

const lookMs = 50;

/** Watches the loop until it is closed. */
export class Lateness {
  readonly #environment: Environment;
  #timer: Timer;
  #lateMs = 0;
  #turnMs: number | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#timer = this.#look();
  }

  /** Now, in ms. A request asks, and so marks when its turn began. O(1). */
  get nowMs(): number {
    const nowMs = this.#environment.monotonic();
    if (this.#turnMs === undefined) {
      this.#turnMs = nowMs;
      this.#environment.defer(() => {
        this.#turnMs = undefined;
      });
    }
    return Math.max(this.#lateMs, nowMs - this.#turnMs);
  }

  close(): void {
    this.#timer.cancel();
  }

  #look(): Timer {
    const dueMs = this.#environment.monotonic() + lookMs;
    return this.#environment.schedule(lookMs, () => {
      this.#lateMs = Math.max(0, this.#environment.monotonic() - dueMs);
      this.#timer = this.#look();
    });
  }
}
