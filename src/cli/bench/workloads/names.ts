/** Unique names: popular ones are wanted by many. */
import type { Workload } from "../workload.ts";
import { attempt, needed } from "./attempt.ts";

/** Claims one name after the other, each for oneself. */
export const names: Workload = {
  name: "names",
  title: "names: claim one that has no owner",
  verbs: ["claim"],
  rule: "no name has two owners",
  hasUnits: false,
  steps({ client, tally, keys, draw, index }) {
    const claim = needed(client.claim, "claim");
    const owner = `owner-${index}`;
    const mine = new Uint8Array(keys.length);
    return () => {
      const key = draw();
      return attempt(() => claim(keys[key] as string, owner), {
        answered(isMine) {
          if (!isMine) return tally.refuse(0, 0);
          if (mine[key] === 0) tally.win(index, key);
          mine[key] = 1;
          tally.answer();
        },
        failed: (error) => tally.fail(error),
      });
    };
  },
};
