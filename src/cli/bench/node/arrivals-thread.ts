/** The thread that ticks: sleeps until the next arrival is due and says so. */
import { parentPort, workerData } from "node:worker_threads";
import { monotonicMs } from "../monotonic.ts";
import type { Ticks } from "./arrivals.ts";

const { everyMs, startMs, endMs } = workerData as Ticks;
const never = new Int32Array(new SharedArrayBuffer(4));

for (let tick = 0, dueMs = startMs; dueMs < endMs; dueMs = startMs + ++tick * everyMs) {
  const waitMs = dueMs - monotonicMs();
  if (waitMs > 0) Atomics.wait(never, 0, 0, waitMs);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort?.postMessage(dueMs);
}
