/** Long work in short slices: so much at a time, then whoever else waits has a turn. */
import type { Environment } from "../../environment.ts";
import { ClosedError } from "../../errors.ts";

/** Work between two rests, in units of one to two microseconds. */
export const sliceUnitsMax = 1_000;

/** Paces one piece of work after the other. */
export class Pace {
  readonly #environment: Environment;
  #left = sliceUnitsMax;
  #isStopped = false;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Counts work that was done; returns whether it is time to rest. */
  spend(units: number): boolean {
    this.#left -= units;
    return this.#left <= 0;
  }

  /** Resolves when the others had their turn. @throws ClosedError when the work was stopped. */
  rest(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#environment.defer(() => {
        this.#left = sliceUnitsMax;
        if (this.#isStopped) reject(new ClosedError("nobody waits for the answer any more"));
        else resolve();
      });
    });
  }

  /** Nobody wants the work any more: it ends where it rests next. */
  stop(): void {
    this.#isStopped = true;
  }
}
