/** Waits until the last connection is gone, but not for ever. */
import type { Environment } from "../environment.ts";

/** The end of all links of a replica. */
export class Farewell {
  readonly #environment: Environment;
  #whenGone: (() => void) | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Resolves when the last one is gone, or `late` was called, after `waitMsMax`, and it is time to go on. */
  untilGone(waitMsMax: number, late: () => void): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#environment.schedule(waitMsMax, () => {
        late();
        this.#whenGone?.();
      });
      this.#whenGone = () => {
        this.#whenGone = undefined;
        timer.cancel();
        resolve();
      };
    });
  }

  /** The last one is gone. */
  gone(): void {
    this.#whenGone?.();
  }
}
