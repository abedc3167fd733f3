/** Transfers between accounts: none below zero, and no money made or lost on the way. */
import { unitsMax } from "../tally.ts";
import type { Workload } from "../workload.ts";
import { attempt, needed } from "./attempt.ts";

/** Moves a few units from one account to another one. */
export const transfers: Workload = {
  name: "transfers",
  title: "transfers: move units from one account to another",
  verbs: ["move"],
  rule: "no account falls below zero, and the sum stays what it was",
  hasUnits: true,
  steps({ client, tally, keys, draw, random }) {
    const move = needed(client.move, "move");
    return () => {
      const from = draw();
      const other = draw();
      const to = other === from ? (from + 1) % keys.length : other;
      const units = 1 + Math.floor(random() * unitsMax);
      return attempt(() => move(keys[from] as string, keys[to] as string, units), {
        answered(isMoved) {
          if (!isMoved) return tally.refuse(from, 0);
          tally.changes[from] = (tally.changes[from] as number) - units;
          tally.changes[to] = (tally.changes[to] as number) + units;
          tally.answer();
        },
        failed(error) {
          tally.fail(error, [from, units], [to, units]);
        },
      });
    };
  },
};
