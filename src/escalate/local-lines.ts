/**
 * One line a resource in this process. Of a thousand callers that want the same lock one stands in the
 * line of the store, and the others behind it, here, where waiting costs nothing.
 */
import type { Environment } from "../environment.ts";
import { LockTimeoutError, OverloadedError } from "../errors.ts";

/** Callers in one line. */
export const localLineMax = 10_000;

/** How to wait. */
export interface LineOptions {
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** First come, first served. */
export class LocalLines {
  readonly #environment: Environment;
  /** The first of a line is in; an empty line is none. */
  readonly #lines = new Map<string, Set<() => void>>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /**
   * Resolves with the way out when it is one's turn.
   * @throws LockTimeoutError after `waitMs`; OverloadedError the line is full; the reason of `signal`.
   */
  enter(resource: string, { waitMs, signal }: LineOptions): Promise<() => void> {
    const line = this.#lines.get(resource) ?? new Set();
    const isFirst = line.size === 0;
    return new Promise((resolve, reject) => {
      const refuse = (): Error | undefined => {
        if (isFirst) return undefined;
        if (line.size >= localLineMax) {
          return new OverloadedError(`${line.size} callers wait for ${resource} already`);
        }
        return waitMs > 0 ? undefined : late();
      };
      const late = (): Error =>
        new LockTimeoutError(`${resource} was not granted within ${waitMs} ms`, {
          ...{ resource, waitMs },
        });
      const quit = (reason: unknown): void => {
        clean();
        this.#leave(resource, enter);
        reject(reason);
      };
      const abort = (): void => quit(signal?.reason);
      const enter = (): void => {
        clean();
        resolve(() => this.#leave(resource, enter));
      };
      const refused = refuse();
      if (refused) {
        reject(refused);
        return;
      }
      line.add(enter);
      this.#lines.set(resource, line);
      const timer = isFirst ? undefined : this.#environment.schedule(waitMs, () => quit(late()));
      const clean = (): void => {
        timer?.cancel();
        signal?.removeEventListener("abort", abort);
      };
      if (isFirst) enter();
      else signal?.addEventListener("abort", abort, { once: true });
    });
  }

  #leave(resource: string, one: () => void): void {
    const line = this.#lines.get(resource);
    if (!line) return;
    const wasFirst = line.values().next().value === one;
    if (!line.delete(one) || !wasFirst) return;
    const next = line.values().next();
    if (next.done === true) this.#lines.delete(resource);
    else next.value();
  }
}
