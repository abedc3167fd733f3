/**
 * Those of one client who stand in lines. One question covers them all, however many they are, and is
 * asked only while there are any; where the database can tell a turn by itself, it is the fallback.
 */
import type { Environment, Timer } from "../../../environment.ts";

/** What was told before anybody waited for it is kept for so many. */
const toldMax = 10_000;

/** How turns are learned. */
export interface TurnsOptions {
  readonly environment: Environment;
  /** Asks whose turn it is. Whoever is named in vain asks once more, no harm. */
  readonly ask: () => Promise<readonly string[]>;
  /** How long until it is asked again, in ms, after so many looks in vain. */
  readonly paceMs: (vain: number) => number;
}

/** Wakes whose turn it is, and nobody else. */
export class Turns {
  readonly #options: TurnsOptions;
  readonly #waiting = new Map<string, () => void>();
  /** The word may come before the answer to the request that it is about. */
  readonly #told = new Set<string>();
  #timer: Timer | undefined;
  #isAsking = false;
  #vain = 0;
  #isStopped = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Resolves when it is the turn of `nonce`. */
  wait(nonce: string): Promise<void> {
    if (this.#told.delete(nonce)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.get(nonce)?.();
      this.#waiting.set(nonce, resolve);
      this.#vain = 0;
      this.#schedule();
    });
  }

  /** It is the turn of `nonce`. */
  tell(nonce: string): void {
    const resolve = this.#waiting.get(nonce);
    if (resolve) {
      this.forget(nonce);
      return;
    }
    this.#told.add(nonce);
    if (this.#told.size <= toldMax) return;
    for (const oldest of this.#told) {
      this.#told.delete(oldest);
      return;
    }
  }

  /** It asks by itself, or went away. */
  forget(nonce: string): void {
    this.#told.delete(nonce);
    this.#waiting.get(nonce)?.();
    this.#waiting.delete(nonce);
  }

  /** Asks nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const nonce of this.#waiting.keys()) this.forget(nonce);
  }

  #schedule(): void {
    if (this.#timer || this.#isAsking || this.#isStopped || this.#waiting.size === 0) return;
    this.#timer = this.#options.environment.schedule(this.#options.paceMs(this.#vain), () => {
      this.#timer = undefined;
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    if (this.#waiting.size === 0) return;
    this.#isAsking = true;
    this.#vain++;
    try {
      // A nonce that nobody waits for has been told already, or is on its way to ask.
      for (const nonce of await this.#options.ask()) {
        if (!this.#waiting.has(nonce)) continue;
        this.#vain = 0;
        this.tell(nonce);
      }
    } catch {
      // It is asked again.
    } finally {
      this.#isAsking = false;
      this.#schedule();
    }
  }
}
