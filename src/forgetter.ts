/** When removals and names are forgotten that nobody asks for any more: now and then, in small steps. */
import type { VersionVector } from "./crdt/version-vector.ts";
import type { Environment, Timer } from "./environment.ts";
import type { Keyspace } from "./store/keyspace.ts";

/** How long removals and names are left before they are looked at, in ms. */
const forgetEveryMs = 1_000;
/** Cells forgotten in one step, so that the event loop breathes. */
const forgetCellsMax = 10_000;

/** What it works on. */
export interface ForgetterOptions {
  readonly keyspace: Keyspace;
  readonly environment: Environment;
  /** What each peer holds that may still ask for what was removed. */
  readonly passed: () => readonly VersionVector[];
  /** For how long a peer that is away may, in ms. */
  readonly peerSilentMsMax: number;
}

/** Sees to it that memory returns. */
export class Forgetter {
  readonly #options: ForgetterOptions;
  #timer: Timer | undefined;
  #isSoon = false;
  #isStopped = false;

  constructor(options: ForgetterOptions) {
    this.#options = options;
  }

  /** Something may be forgotten in a while. */
  soon(): void {
    if (this.#isSoon || this.#isStopped || !this.#options.keyspace.forgetting.isDue) return;
    this.#isSoon = true;
    this.#after(forgetEveryMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #after(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#options.environment.schedule(delayMs, () => this.#forget());
  }

  #forget(): void {
    const { keyspace, environment, passed, peerSilentMsMax } = this.#options;
    if (keyspace.isClosed) return;
    this.#isSoon = false;
    if (keyspace.forgetting.step([...passed()], forgetCellsMax)) {
      environment.defer(() => this.#forget());
    } else if (keyspace.forgetting.isDue) {
      // Kept for a peer that is away: it may never come back, and nothing else may happen here.
      this.#after(peerSilentMsMax + forgetEveryMs);
    }
  }
}
