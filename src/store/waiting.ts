/** Waiting for a condition: with a deadline, a signal, and nothing left behind. */
import type { Environment } from "../environment.ts";
import { ClosedError, InvalidValueError, WaitTimeoutError } from "../errors.ts";

/** How long to wait; every wait ends. */
export interface WaitOptions {
  /** In ms; 0 does not wait. Default 10,000. */
  readonly timeoutMs?: number;
  /** Rejects with its reason when aborted. */
  readonly signal?: AbortSignal;
}

/** The default of every `timeoutMs`. */
export const defaultTimeoutMs = 10_000;
/** The longest wait, in ms: what timers can do. */
const timeoutMsMax = 2 ** 31 - 1;

interface Waiter {
  readonly isMet: () => boolean;
  settle(error?: Error): void;
}

/** Conditions that are waited for, checked whenever something changed. */
export class Waiting {
  readonly #environment: Environment;
  readonly #waiters = new Set<Waiter>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /**
   * Resolves when `isMet` says so, which `check` asks.
   * @throws WaitTimeoutError after `timeoutMs`, the signal's reason when it aborts.
   */
  until(isMet: () => boolean, what: string, options: WaitOptions = {}): Promise<void> {
    const { signal } = options;
    const waitMs = checkTimeout(options.timeoutMs ?? defaultTimeoutMs);
    if (signal?.aborted === true) return Promise.reject(reasonOf(signal));
    if (isMet()) return Promise.resolve();
    const late = (): WaitTimeoutError =>
      new WaitTimeoutError(`${what} did not happen within ${waitMs} ms`, { waitMs });
    if (waitMs === 0) return Promise.reject(late());
    return new Promise((resolve, reject) => {
      const abort = (): void => waiter.settle(signal && reasonOf(signal));
      const timer = this.#environment.schedule(waitMs, () => waiter.settle(late()));
      const waiter: Waiter = {
        isMet,
        settle: (error) => {
          if (!this.#waiters.delete(waiter)) return;
          timer.cancel();
          signal?.removeEventListener("abort", abort);
          if (error) reject(error);
          else resolve();
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  /** Something changed. O(waiters). */
  check(): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of [...this.#waiters]) {
      if (waiter.isMet()) waiter.settle();
    }
  }

  /** Nobody waits any longer. */
  close(): void {
    for (const waiter of [...this.#waiters]) {
      waiter.settle(new ClosedError("the replica was closed while this waited"));
    }
  }
}

function checkTimeout(waitMs: number): number {
  if (Number.isFinite(waitMs) && waitMs >= 0) return Math.min(waitMs, timeoutMsMax);
  throw new InvalidValueError(`a wait of ${waitMs} ms; every wait is finite`, {
    path: "timeoutMs",
    reason: "is not a non-negative number",
  });
}

const reasonOf = (signal: AbortSignal): Error =>
  signal.reason instanceof Error
    ? signal.reason
    : new DOMException("the wait was aborted", { name: "AbortError", cause: signal.reason });
