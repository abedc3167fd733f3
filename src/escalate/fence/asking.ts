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
  /** Requests, and repetitions, that have not ended. A number, since each request passes here. */
  #active = 0;
  readonly #resting = new Set<() => void>();

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
    while (this.#active > 0) {
      await new Promise<void>((resolve) => {
        this.#resting.add(resolve);
      });
    }
  }

  /** Asks once. What comes after the limit is ignored. @throws the reason of `signal`, or of `end`. */
  once<T>(ask: () => Promise<T>, patience: Patience = {}): Promise<Answer<T>> {
    return this.#wait(ask, patience);
  }

  /** Asks again while no answer comes, a few times. @throws the reason of `signal`, or of `end`. */
  repeatedly<T>(ask: () => Promise<T>, patience: Patience = {}): Promise<Answer<T>> {
    return this.#wait(ask, patience).then((answer) =>
      answer.kind === "answer" ? answer : this.#again(ask, patience, answer),
    );
  }

  /** @throws the reason of `signal`, or of `end`. */
  async pause(limitMs: number, patience: Patience = {}): Promise<void> {
    await this.once(() => new Promise<never>(() => undefined), { ...patience, limitMs });
  }

  /** After a first request without an answer. */
  async #again<T>(
    ask: () => Promise<T>,
    patience: Patience,
    first: Exclude<Answer<T>, { readonly kind: "answer" }>,
  ): Promise<Answer<T>> {
    this.#active++;
    try {
      let wasLost = first.kind === "lost";
      for (let tries = 2; ; tries++) {
        const answer = await this.#wait(ask, patience);
        if (answer.kind === "answer") return { ...answer, isFirst: !wasLost };
        wasLost ||= answer.kind === "lost";
        if (tries === triesMax) return wasLost ? { kind: "lost", cause: answer.cause } : answer;
        await this.pause(pauseMs, patience);
      }
    } finally {
      this.#over();
    }
  }

  #wait<T>(ask: () => Promise<T>, patience: Patience): Promise<Answer<T>> {
    const { signal, limitMs = this.#answerMs, endable = false } = patience;
    this.#active++;
    return new Promise((resolve, reject) => {
      const stop = (reason: unknown): void => {
        reject(reason);
        clean();
      };
      const abort = (): void => stop(signal?.reason);
      const settle = (answer: Answer<T>): void => {
        resolve(answer);
        clean();
      };
      const timer = this.#environment.schedule(limitMs, () =>
        settle({ kind: "lost", cause: new Error(`no answer within ${limitMs} ms`) }),
      );
      let isOver = false;
      const clean = (): void => {
        if (isOver) return;
        isOver = true;
        timer.cancel();
        signal?.removeEventListener("abort", abort);
        if (endable) this.#endable.delete(stop);
        // After what waits for the answer was told: it may go on asking.
        this.#over();
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
      const failed = (cause: unknown): void =>
        settle({ kind: cause instanceof LockUnavailableError ? "unsent" : "lost", cause });
      try {
        ask().then((answer) => settle({ kind: "answer", answer, isFirst: true }), failed);
      } catch (error) {
        failed(error);
      }
    });
  }

  #over(): void {
    this.#active--;
    if (this.#active > 0) return;
    for (const resolve of this.#resting) resolve();
    this.#resting.clear();
  }
}
