/**
 * The world as one argument: wall clock, monotonic clock, timers, the end of the turn, randomness.
 * Nothing else in the library reaches for them, so that a whole cluster runs in one process under
 * a seed. The network is handed in beside it, as a `Transport`.
 */
import { randomBytes } from "node:crypto";

/** A timer that was asked for and may be taken back. */
export interface Timer {
  /** Takes the timer back; harmless once it has fired. */
  cancel(): void;
}

/** Everything ambient that a replica needs. */
export interface Environment {
  /** Wall clock, in ms since the Unix epoch. May step in either direction. */
  now(): number;
  /** A clock that never steps back, in ms from an arbitrary origin. */
  monotonic(): number;
  /** Runs `task` once after `delayMs`. Like a socket, a pending timer keeps the process alive. */
  schedule(delayMs: number, task: () => void): Timer;
  /** Runs `task` at the end of the present turn of the event loop. */
  defer(task: () => void): void;
  /** `count` unpredictable bytes. */
  randomBytes(count: number): Uint8Array;
}

/** A number at least 0 and below 1. */
export function fraction(environment: Environment): number {
  let bits = 0;
  for (const byte of environment.randomBytes(4)) bits = bits * 256 + byte;
  return bits / 2 ** 32;
}

/** Node fires longer timers at once. */
const timerMsMax = 2 ** 31 - 1;

/** The real world: Node's clocks, timers and kernel randomness. */
export const systemEnvironment: Environment = {
  now: Date.now,
  monotonic: () => performance.now(),
  schedule: (delayMs, task) => {
    const timer = setTimeout(task, Math.min(delayMs, timerMsMax));
    return { cancel: () => clearTimeout(timer) };
  },
  defer: (task) => {
    setImmediate(task);
  },
  randomBytes: (count) => randomBytes(count),
};
