/** Stock on sale: units that must not be sold twice. */
import { monotonicMs } from "../monotonic.ts";
import type { Workload } from "../workload.ts";
import { attempt, needed } from "./attempt.ts";

/** Takes one unit at a time. */
export const stock: Workload = {
  name: "stock",
  title: "stock: take 1 unit if there is one",
  verbs: ["take"],
  rule: "no more units are sold than there were, and what was not sold is still there",
  hasUnits: true,
  steps({ client, tally, keys, draw }) {
    const take = needed(client.take, "take");
    return () => {
      const key = draw();
      const startMs = monotonicMs();
      return attempt(() => take(keys[key] as string, 1), {
        answered(isTaken) {
          if (!isTaken) return tally.refuse(key, 1);
          tally.changes[key] = (tally.changes[key] as number) - 1;
          tally.take(key, 1, startMs);
          tally.answer();
        },
        failed(error) {
          tally.take(key, 1, startMs);
          tally.fail(error, [key, 1]);
        },
      });
    };
  },
};
