/** What the system tells a peer: signals, and errors that nobody caught. */
import { constants } from "node:os";
import { peerStatus } from "./exit-status.ts";

/** How a peer is told, and what ends it. */
export interface LifeOptions {
  /** Called for each SIGHUP, one at a time. Never rejects. */
  readonly reload: () => Promise<void>;
  /** Called before an error of ours ends the process. */
  readonly onUncaught: (error: unknown) => void;
}

/** Signals that ask for an end. */
export type StopSignal = "SIGINT" | "SIGTERM";

/** The signals of one process. */
export class Life {
  /** Resolves with the first signal that asks for an end. The second ends the process at once. */
  readonly stopped: Promise<StopSignal>;
  #reloading: Promise<void> = Promise.resolve();
  #isWaiting = false;

  constructor({ reload, onUncaught }: LifeOptions) {
    process.on("uncaughtException", (error) => {
      onUncaught(error);
      process.exit(peerStatus.software);
    });
    process.on("SIGHUP", () => {
      // Whatever comes while one waits for its turn is done by it.
      if (this.#isWaiting) return;
      this.#isWaiting = true;
      this.#reloading = this.#reloading.then(() => {
        this.#isWaiting = false;
        return reload();
      });
    });
    this.stopped = new Promise((resolve) => {
      let isStopping = false;
      const stop = (by: StopSignal): void => {
        if (isStopping) process.exit(128 + constants.signals[by]);
        isStopping = true;
        resolve(by);
      };
      process.on("SIGINT", stop);
      process.on("SIGTERM", stop);
    });
  }
}

/** Ends the process when `work` takes longer than `ms`. */
export async function within(ms: number, work: Promise<void>, late: () => void): Promise<void> {
  const timer = setTimeout(() => {
    late();
    process.exit(peerStatus.software);
  }, ms);
  try {
    await work;
  } finally {
    clearTimeout(timer);
  }
}
