import { expect, test } from "vitest";
import { simulate } from "./cluster.ts";

/** `npm run simulate -- --seeds 100000` runs more. */
const seeds = 400;
const parts = 4;

test.each(Array.from({ length: parts }, (_, part) => 1 + (part * seeds) / parts))(
  "clusters under 100 seeds from %d on end as the specification says",
  async (first) => {
    const failures: string[] = [];
    for (let seed = first; seed < first + seeds / parts; seed++) {
      try {
        await simulate(seed);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    expect(failures).toEqual([]);
  },
);
