/** Likes of posts: counters that everybody adds to and nothing limits. */
import type { Workload } from "../workload.ts";
import { attempt, needed } from "./attempt.ts";

/** Adds one at a time. */
export const likes: Workload = {
  name: "likes",
  title: "likes: add 1 to a counter",
  verbs: ["add"],
  rule: "every like that was acknowledged counts once",
  hasUnits: false,
  steps({ client, tally, keys, draw }) {
    const add = needed(client.add, "add");
    return () => {
      const key = draw();
      return attempt(() => add(keys[key] as string, 1), {
        answered() {
          tally.changes[key] = (tally.changes[key] as number) + 1;
          tally.answer();
        },
        failed: (error) => tally.fail(error, [key, 1]),
      });
    };
  },
};
