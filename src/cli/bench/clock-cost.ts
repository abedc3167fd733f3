/** What an open load's clock costs by itself: operations that do nothing, from when they were due until they began. */
import { monotonicMs } from "./monotonic.ts";
import { arrivals } from "./node/arrivals.ts";

const perSecond = 300;
const countedMs = 500;

/** The median and the hundredth, in ms. */
export async function measureClock(): Promise<{ readonly p50Ms: number; readonly p99Ms: number }> {
  const late: number[] = [];
  await arrivals(
    { perSecond, startMs: monotonicMs() + 100, warmMs: 0, countedMs },
    (dueMs) => void late.push(monotonicMs() - dueMs),
  );
  late.sort((left, right) => left - right);
  const at = (part: number): number => late[Math.floor(late.length * part)] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
