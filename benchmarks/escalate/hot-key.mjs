/** What does combining gain on one hot key far away, against lock, read, write, unlock? */
import { compareCombined, eachWayMs } from "../locks/combining.mjs";

export const title =
  "A fenced update on one hot key by 48 callers of one process, 2.6 ms round trip: combined, against lock, read, write, unlock";

const ratioMin = 50;
const plans = { whole: 3_000, quick: 1_200 };

/** All rows. */
export const rowsOf = () =>
  ["redis", "postgres"].map((name) => ({
    id: `hot-key/${name}`,
    label: name,
    unit: "/s",
    needs: [name],
    target: { ratio: { atLeast: ratioMin } },
    why: "writes follow one another, each with up to 48 updates, a round trip and what is durable",
    measure: async ({ open, isQuick }) =>
      compareCombined(await open(name, eachWayMs), isQuick ? plans.quick : plans.whole),
  }));
