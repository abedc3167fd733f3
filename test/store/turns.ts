/** A world in which only turns pass: they are counted, and what is scheduled is due in the next one. */
import type { Environment, Timer } from "../../src/environment.ts";

/** Counts the turns of whoever defers to them. */
export class Turns implements Environment {
  count = 0;
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, task: () => void): Timer {
    setImmediate(() => {
      this.#nowMs += delayMs;
      task();
    });
    return { cancel: () => undefined };
  }

  defer(task: () => void): void {
    this.count++;
    setImmediate(task);
  }

  randomBytes(count: number): Uint8Array {
    return new Uint8Array(count);
  }
}
