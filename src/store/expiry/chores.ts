/** Does what is due when it is due: one timer, and slices, so that the event loop breathes. */
import type { Environment, Timer } from "../../environment.ts";
import { Dues } from "./dues.ts";

/** Nodes looked at in one turn of the event loop. */
const sliceMax = 1_000;
/** The clock is looked at that often, in ms: it may step, which no timer notices. */
const lookMsMax = 10_000;

/** What there is to do. */
export interface ChoresOptions {
  readonly environment: Environment;
  /** The clock that the times are of. */
  readonly now: () => number;
  /** Before each slice. */
  readonly begin: () => void;
  /** Does what is to be done with the node; returns when to look again, if ever. */
  readonly look: (node: number, nowMs: number) => number | undefined;
}

/** Nodes, and when each is to be looked at. Nothing happens before `start`. */
export class Chores {
  readonly #options: ChoresOptions;
  readonly #dues = new Dues();
  #timer: Timer | undefined;
  #firesMs = Number.POSITIVE_INFINITY;
  #isSlicing = false;
  #isRunning = false;

  constructor(options: ChoresOptions) {
    this.#options = options;
  }

  /** Nodes that are to be looked at some time. */
  get size(): number {
    return this.#dues.size;
  }

  /** Looks at the node then, or earlier if that was said before. */
  plan(node: number, atMs: number): void {
    this.#dues.add(node, atMs);
    this.#arm();
  }

  /** There is nothing to look at any more. */
  drop(node: number): void {
    this.#dues.remove(node);
  }

  start(): void {
    this.#isRunning = true;
    this.#arm();
  }

  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
  }

  #arm(): void {
    const { environment, now } = this.#options;
    const nextMs = this.#dues.nextMs;
    if (!this.#isRunning || this.#isSlicing || nextMs === undefined) return;
    const delayMs = Math.min(lookMsMax, Math.max(0, nextMs - now()));
    const firesMs = environment.monotonic() + delayMs;
    if (firesMs >= this.#firesMs) return;
    this.#timer?.cancel();
    this.#firesMs = firesMs;
    this.#timer = environment.schedule(delayMs, () => {
      this.#firesMs = Number.POSITIVE_INFINITY;
      this.#slice();
    });
  }

  readonly #slice = (): void => {
    const { environment, now, begin, look } = this.#options;
    this.#isSlicing = false;
    if (!this.#isRunning) return;
    begin();
    const nowMs = now();
    for (let left = sliceMax; left > 0; left--) {
      const node = this.#dues.take(nowMs);
      if (node === undefined) return this.#arm();
      const againMs = look(node, nowMs);
      if (againMs !== undefined) this.#dues.add(node, againMs);
    }
    this.#isSlicing = true;
    environment.defer(this.#slice);
  };
}
