/** What an answer of an authority means to the caller, as an error. */
import {
  ConflictError,
  LockTimeoutError,
  LockUnavailableError,
  OverloadedError,
  StaleTokenError,
  StoreRolledBackError,
  UnknownOutcomeError,
} from "../../errors.ts";
import type { Guarded } from "../locks.ts";
import type { Answer } from "./asking.ts";
import type { Refused } from "./authority.ts";

/** What a refused write was about. */
export interface Attempt {
  readonly resource: string;
  readonly operationId: string;
  /** No sending of it is without an answer. */
  readonly isFirst: boolean;
  /** Of the lease that it was made under. */
  readonly token?: bigint;
  /** What the store said that is there instead. */
  readonly current?: Guarded | undefined;
}

/** Makes the errors of one backend. */
export class Verdicts {
  readonly #backend: string;

  constructor(backend: string) {
    this.#backend = backend;
  }

  /** @throws LockUnavailableError when no answer came. */
  answered<T>(answer: Answer<T>, resource?: string): T {
    if (answer.kind === "answer") return answer.answer;
    const about = resource === undefined ? "" : ` about ${resource}`;
    // Why nothing was sent says what to do about it: a setting, an address.
    const why = answer.kind === "unsent" ? `: ${messageOf(answer.cause)}` : "";
    throw new LockUnavailableError(`${this.#backend} did not answer${about}${why}`, {
      ...(resource === undefined ? {} : { resource }),
      backend: this.#backend,
      cause: answer.cause,
    });
  }

  /** @throws UnknownOutcomeError when no answer came; LockUnavailableError when surely nothing was done. */
  resolved<T>(answer: Answer<T>, resource: string, operationId: string): T {
    if (answer.kind === "lost") throw this.unknown(operationId, answer.cause);
    return this.answered(answer, resource);
  }

  unknown(operationId: string, cause?: unknown): UnknownOutcomeError {
    return new UnknownOutcomeError(
      `${this.#backend} did not say what came of ${operationId}: it may have taken effect, once`,
      { operationId, cause },
    );
  }

  /**
   * When is a refusal sure, if an earlier sending is without an answer? Not if that one may have been
   * applied and forgotten since; and not if a lease was in the way: the earlier one may still be on its
   * way, and find it gone. A fence that was replaced and a version that moved on never come back.
   */
  refused({ kind, installed, forgotten }: Refused, attempt: Attempt): Error {
    const { resource, operationId, isFirst, token = 0n, current } = attempt;
    if (!isFirst && (forgotten || kind === "held")) return this.unknown(operationId);
    const fields = { resource, ...(forgotten ? { forgotten } : {}) };
    if (kind === "stale") {
      return new StaleTokenError(
        `token ${token} is not the installed fence of ${resource}; nothing was written`,
        { ...fields, token, installed },
      );
    }
    if (kind === "held") {
      const why = `a live lease excludes writing ${resource}; nothing was written`;
      return new ConflictError(why, { ...fields, held: true });
    }
    const why = `${resource} is not at the expected version; nothing was written`;
    return new ConflictError(why, { ...fields, held: false, ...(current ? { current } : {}) });
  }

  reborn(known: string | undefined, found: string): StoreRolledBackError {
    return new StoreRolledBackError(
      `the store of ${this.#backend} was born as ${found}, not as ${known ?? "nothing"}: ` +
        "it was wiped or replaced; nothing was written",
    );
  }

  timeout(resource: string, waitMs: number): LockTimeoutError {
    const why = `${resource} was not granted within ${waitMs} ms`;
    return new LockTimeoutError(why, { resource, backend: this.#backend, waitMs });
  }

  maybeHeld(resource: string, cause: unknown): LockUnavailableError {
    const why = `${this.#backend} did not confirm that ${resource} was not granted: it may be held`;
    return new LockUnavailableError(why, { resource, backend: this.#backend, cause });
  }

  lineFull(resource: string): OverloadedError {
    return new OverloadedError(`the line for ${resource} is full; nothing was granted`);
  }
}

const messageOf = (cause: unknown): string =>
  cause instanceof Error ? cause.message : String(cause);
