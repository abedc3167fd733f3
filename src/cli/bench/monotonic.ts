/** One clock for all processes of a machine, which no setting of the wall clock moves. */
const [seconds, nanoseconds] = process.hrtime();
const offsetMs = seconds * 1_000 + nanoseconds / 1e6 - performance.now();

/** In ms since the machine began, with fractions; the same in every process, to some microseconds. */
export const monotonicMs = (): number => performance.now() + offsetMs;
