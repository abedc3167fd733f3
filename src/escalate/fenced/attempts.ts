/**
 * One call, made again until it is decided or its time is over. What may have happened decides what may be
 * done: what surely did nothing is tried again; what may have taken effect is only tried again if it would
 * find itself, which is what idempotency keys are for. While that is open the caller is never told "no".
 */
import type { Environment } from "../../environment.ts";
import {
  ConflictError,
  InvalidValueError,
  LeaseLostError,
  LockUnavailableError,
  StaleTokenError,
  UnknownOutcomeError,
} from "../../errors.ts";
import { timeMsMax } from "../fence/arguments.ts";
import { Pauses } from "../pauses.ts";

/** How to go on. */
export interface AttemptOptions {
  readonly environment: Environment;
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** A repetition that took effect before is found again and not repeated. */
  readonly isKeyed: boolean;
  /** Whether the backend is known to be away, so that asking makes no sense. */
  readonly isAway: () => boolean;
}

/** Thrown by what a caller gave us to run: nothing that we do about it. */
export class Thrown extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super("thrown by the caller's function");
    this.reason = reason;
  }
}

/** What an attempt may find out about those before it. */
export interface Earlier {
  /** None of them had an effect, or will have one. */
  hadNone(): void;
}

/** The least that is left for another attempt, in ms. */
const leftMsMin = 1;
/** Between attempts at a backend that does not answer, at least: some fail at once while they connect. */
const attemptMs = 100;

/**
 * Runs `attempt` with the time that is left. It wraps what the caller's function throws in `Thrown`.
 * @throws what the last attempt threw; UnknownOutcomeError if an earlier one may have taken effect.
 */
export async function untilDecided<T>(
  attempt: (leftMs: number, earlier: Earlier) => Promise<T>,
  options: AttemptOptions,
): Promise<T> {
  const { environment, waitMs, signal } = options;
  checkWait(waitMs);
  const endMs = environment.monotonic() + waitMs;
  const pauses = new Pauses(environment, attemptMs);
  let unknown: UnknownOutcomeError | undefined;
  const earlier = {
    hadNone: () => {
      unknown = undefined;
    },
  };
  for (let leftMs = waitMs; ; leftMs = endMs - environment.monotonic()) {
    try {
      return await attempt(Math.max(0, leftMs), earlier);
    } catch (error) {
      if (signal?.aborted === true && error === signal.reason) throw error;
      if (error instanceof UnknownOutcomeError) unknown ??= error;
      const isOver = endMs - environment.monotonic() < leftMsMin;
      if (isOver || !mayGoOn(error, options)) throw told(error, unknown);
    }
    await pause(environment, pauses.next(), signal);
  }
}

function checkWait(waitMs: unknown): void {
  if (typeof waitMs === "number" && waitMs >= 0 && waitMs <= timeMsMax) return;
  const reason = `is ${String(waitMs)}, not between 0 and ${timeMsMax} ms`;
  throw new InvalidValueError(`waitMs ${reason}; nothing was done`, { path: "waitMs", reason });
}

function mayGoOn(error: unknown, { isKeyed, isAway }: AttemptOptions): boolean {
  if (error instanceof UnknownOutcomeError) return isKeyed && !isAway();
  if (error instanceof LockUnavailableError) return !isAway();
  return wasOvertaken(error);
}

/** Somebody was quicker, and nothing was written. */
const wasOvertaken = (error: unknown): boolean =>
  error instanceof ConflictError ||
  error instanceof StaleTokenError ||
  error instanceof LeaseLostError;

function told(error: unknown, unknown: UnknownOutcomeError | undefined): unknown {
  const reason = error instanceof Thrown ? error.reason : error;
  if (unknown === undefined || reason === unknown) return reason;
  const { operationId } = unknown;
  return new UnknownOutcomeError(`${unknown.message}; asking again did not tell`, {
    ...{ operationId, cause: reason },
  });
}

async function pause(
  environment: Environment,
  ms: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  if (ms === 0) return;
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = environment.schedule(ms, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}
