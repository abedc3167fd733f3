/** Profiles: read nineteen times for each write. What is read may be old; how old is measured. */
import { monotonicMs } from "../monotonic.ts";
import type { Workload } from "../workload.ts";
import { attempt, needed } from "./attempt.ts";

const writesPart = 0.05;

/** Reads and writes. Each value is written once only, so that it is known which write was seen. */
export const register: Workload = {
  name: "register",
  title: "register: 95 % reads, 5 % writes",
  verbs: ["get", "set"],
  rule: "no read shows what was never written",
  hasUnits: false,
  steps({ client, tally, keys, draw, random, index }) {
    const get = needed(client.get, "get");
    const set = needed(client.set, "set");
    let writes = 0;
    const write = (key: number): void | Promise<void> => {
      const value = `${index}.${writes++}`;
      const startMs = monotonicMs();
      return attempt(() => set(keys[key] as string, value), {
        answered() {
          tally.write(key, value, startMs, monotonicMs());
          tally.answer();
        },
        failed(error) {
          tally.write(key, value, startMs, Number.POSITIVE_INFINITY);
          tally.fail(error);
        },
      });
    };
    const read = (key: number): void | Promise<void> => {
      const isSample = tally.samplesRead();
      const startMs = isSample ? monotonicMs() : 0;
      return attempt(() => get(keys[key] as string), {
        answered(value) {
          if (isSample) tally.see(key, value, startMs);
          tally.answer();
        },
        failed: (error) => tally.fail(error),
      });
    };
    return () => (random() < writesPart ? write(draw()) : read(draw()));
  },
};
