/** So many at once, so many in line, and no more: one slow backend does not take all memory with it. */
import { OverloadedError } from "../errors.ts";

/** The bounds. */
export interface BulkheadLimits {
  readonly activeMax: number;
  readonly queuedMax: number;
}

/** Lets callers in, in the order of their arrival. */
export class Bulkhead {
  readonly #limits: BulkheadLimits;
  #active = 0;
  /** Each is called once: with a place, or never if it left. */
  readonly #queue = new Set<() => void>();
  /** Callers that were refused because the line was full. */
  refused = 0;

  constructor(limits: BulkheadLimits) {
    this.#limits = limits;
  }

  get active(): number {
    return this.#active;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /**
   * Runs `work` when there is a place.
   * @throws OverloadedError the line is full, and nothing was run; the reason of `signal` while in line.
   */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#active >= this.#limits.activeMax) await this.#place(signal);
    else this.#active++;
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  #place(signal: AbortSignal | undefined): Promise<void> {
    if (this.#queue.size >= this.#limits.queuedMax) {
      this.refused++;
      const { activeMax, queuedMax } = this.#limits;
      throw new OverloadedError(`${activeMax} calls are under way and ${queuedMax} wait`);
    }
    return new Promise((resolve, reject) => {
      const quit = (): void => {
        this.#queue.delete(enter);
        reject(signal?.reason);
      };
      const enter = (): void => {
        signal?.removeEventListener("abort", quit);
        resolve();
      };
      this.#queue.add(enter);
      signal?.addEventListener("abort", quit, { once: true });
    });
  }

  /** The place goes to the next in line. */
  #leave(): void {
    const first = this.#queue.values().next();
    if (first.done === true) {
      this.#active--;
      return;
    }
    this.#queue.delete(first.value);
    first.value();
  }
}
