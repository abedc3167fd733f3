/** Requests with a deadline, told apart by how sure their outcome is. */
import type { Environment } from "../../environment.ts";
import { LockUnavailableError } from "../../errors.ts";

/** What came of a request. */
export type Answer<T> =
  | {
      readonly kind: "answer";
      readonly answer: T;
      /** No earlier sending of it can have had an effect: none is without an answer. */
      readonly isFirst: boolean;
    }
  /** It surely had no effect. */
  | { readonly kind: "unsent"; readonly cause: unknown }
  /** It may have had its effect, or have it later. */
  | { readonly kind: "lost"; readonly cause: unknown };

/** How to wait for an answer. */
export interface Patience {
  readonly signal?: AbortSignal | undefined;
  /** In ms; as long as one answer may take, unless given. */
  readonly limitMs?: number;
  /** Gives up when the client is closed. */
  readonly endable?: boolean;
}

/** How often a request is asked that gets no answer: once more at once, then after a pause. */
const triesMax = 3;
const pauseMs = 50;

/** Asks on behalf of one client. */
export class Asking {
  readonly #environment: Environment;
  readonly #answerMs: number;
  #ended: { readonly reason: Error } | undefined;
  /** Those that `end` stops: not listeners of one signal, since there may be thousands. */
  readonly #endable = new Set<(reason: Error) => void>();
  readonly #active = new Set<Promise<unknown>>();

  constructor(environment: Environment, answerMs: number) {
    this.#environment = environment;
    this.#answerMs = answerMs;
  }

  /** Whoever waits endlessly stops, with this reason. */
  end(reason: Error): void {
    this.#ended = { reason };
    for (const stop of this.#endable) stop(reason);
  }

  /** Resolves when nothing is asked any more: within the deadline of a few requests. */
  async rest(): Promise<void> {
    while (this.#active.size > 0) await Promise.allSettled(this.#active);
  }

  /** Asks once. What comes after the limit is ignored. @throws the reason of `signal`, or of `end`. */
  once<T>(ask: () => Promise<T>, patience: Patience = {}): Promise<Answer<T>> {
    return this.#tracked(this.#wait(ask, patience));
  }

  /** Asks again while no answer comes, a few times. @throws the reason of `signal`, or of `end`. */
  repeatedly<T>(ask: () => Promise<T>, patience: Patience = {}): Promise<Answer<T>> {
    return this.#tracked(this.#retry(ask, patience));
  }

  /** @throws the reason of `signal`, or of `end`. */
  async pause(limitMs: number, patience: Patience = {}): Promise<void> {
    await this.once(() => new Promise<never>(() => undefined), { ...patience, limitMs });
  }

  async #retry<T>(ask: () => Promise<T>, patience: Patience): Promise<Answer<T>> {
    let wasLost = false;
    for (let tries = 1; ; tries++) {
      const answer = await this.#wait(ask, patience);
      if (answer.kind === "answer") return { ...answer, isFirst: !wasLost };
      wasLost ||= answer.kind === "lost";
      if (tries === triesMax) return wasLost ? { kind: "lost", cause: answer.cause } : answer;
      if (tries > 1) await this.pause(pauseMs, patience);
    }
  }

  #wait<T>(ask: () => Promise<T>, patience: Patience): Promise<Answer<T>> {
    const { signal, limitMs = this.#answerMs, endable = false } = patience;
    return new Promise((resolve, reject) => {
      const stop = (reason: unknown): void => {
        clean();
        reject(reason);
      };
      const abort = (): void => stop(signal?.reason);
      const settle = (answer: Answer<T>): void => {
        clean();
        resolve(answer);
      };
      const timer = this.#environment.schedule(limitMs, () =>
        settle({ kind: "lost", cause: new Error(`no answer within ${limitMs} ms`) }),
      );
      const clean = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", abort);
        this.#endable.delete(stop);
      };
      if (signal?.aborted === true) {
        abort();
        return;
      }
      if (endable && this.#ended) {
        stop(this.#ended.reason);
        return;
      }
      signal?.addEventListener("abort", abort, { once: true });
      if (endable) this.#endable.add(stop);
      ask().then(
        (answer) => settle({ kind: "answer", answer, isFirst: true }),
        (cause: unknown) =>
          settle({ kind: cause instanceof LockUnavailableError ? "unsent" : "lost", cause }),
      );
    });
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#active.add(work);
    const over = (): void => void this.#active.delete(work);
    work.then(over, over);
    return work;
  }
}
