/** One clock for all processes and threads of a machine, which no setting of the wall clock moves. */

const triesCount = 8;

/** What `performance.now()` lacks to the machine's own clock, by the reading of both that took least time. */
function offsetNow(): number {
  let [offsetMs, leastMs] = [0, Number.POSITIVE_INFINITY];
  for (let tries = 0; tries < triesCount; tries++) {
    const beforeMs = performance.now();
    const [seconds, nanoseconds] = process.hrtime();
    const afterMs = performance.now();
    if (afterMs - beforeMs >= leastMs) continue;
    leastMs = afterMs - beforeMs;
    offsetMs = seconds * 1_000 + nanoseconds / 1e6 - (beforeMs + afterMs) / 2;
  }
  return offsetMs;
}

const offsetMs = offsetNow();

/** In ms since the machine began, with fractions; the same in every process and thread, to some microseconds. */
export const monotonicMs = (): number => performance.now() + offsetMs;
