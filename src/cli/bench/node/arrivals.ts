/**
 * Timers of the event loop are whole milliseconds, and late when it is busy: the first would be counted as latency of
 * what answers in microseconds, the second must be. So the clock ticks in a thread of its own, which sleeps to the
 * microsecond, and each arrival knows when it was due.
 */
import { Worker } from "node:worker_threads";
import { monotonicMs } from "../monotonic.ts";

/** When operations are due. */
export interface Schedule {
  readonly perSecond: number;
  readonly startMs: number;
  readonly warmMs: number;
  readonly countedMs: number;
}

/** What the thread is told: its own clock is the same one. */
export interface Ticks {
  readonly everyMs: number;
  readonly startMs: number;
  readonly endMs: number;
}

/** Calls `arrive` for each operation, with the time at which it is due in ms. Resolves after the last one. */
export async function arrivals(
  { perSecond, startMs, warmMs, countedMs }: Schedule,
  arrive: (dueMs: number) => void,
): Promise<void> {
  const ticks: Ticks = {
    everyMs: 1_000 / perSecond,
    // The thread needs a moment to start; an arrival before that would count as late.
    startMs: Math.max(startMs, monotonicMs() + 60),
    endMs: startMs + warmMs + countedMs,
  };
  const thread = new Worker(
    new URL(`arrivals-thread${import.meta.url.slice(-3)}`, import.meta.url),
    {
      workerData: ticks,
    },
  );
  await new Promise<void>((resolve, reject) => {
    thread.on("message", (dueMs: number) => arrive(dueMs));
    thread.once("error", reject);
    thread.once("exit", () => resolve());
  });
}
