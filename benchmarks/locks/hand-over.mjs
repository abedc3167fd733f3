/** What is asked from a release until the next in line has its lease, and how long does it take? */
import { median } from "../crdt/measure.mjs";
import { ttlMs, waitMs } from "./backends.mjs";
import { freshPrefix, tripsBetween } from "./way.mjs";

export const title = "Hand-over from a release to the next waiter of another client";

const plans = { whole: 15, quick: 3 };
/** One who has asked nothing for so long stands in line, in ms. */
const quietMs = 60;
const quietMsMax = 5_000;

/** The rows of one backend. */
export const rowsOf = ({ name, bare, tripsMax, why = {} }) => [
  ...(bare
    ? [
        {
          id: `${name}/hand-over-trips`,
          label: `${name}, round trips of both`,
          unit: "",
          target: { ours: { atMost: tripsMax.handOver } },
          why: why["hand-over"],
          measure: async (world) => ({
            ours: median((await handOvers(world, 0)).map(({ trips }) => trips)),
          }),
        },
      ]
    : []),
  {
    id: `${name}/hand-over`,
    label: bare ? `${name}, loopback` : `${name}, no way at all`,
    unit: "us",
    measure: async (world) => ({
      ours: median((await handOvers(world, undefined)).map(({ us }) => us)),
    }),
  },
];

/** Two clients that wait for each other in turns. */
async function handOvers({ open, isQuick }, delayMs) {
  const prefix = freshPrefix();
  const ways = [await open(delayMs), await open(delayMs)];
  const clients = await Promise.all(ways.map((way) => way.locks(prefix)));
  const found = [];
  let lease = await clients[0].acquire("one", { ttlMs, waitMs });
  for (let i = 1; i <= (isQuick ? plans.quick : plans.whole); i++) {
    const waiting = clients[i % 2].acquire("one", { ttlMs, waitMs });
    await quiet(ways);
    const before = together(ways);
    const startMs = performance.now();
    const releasing = lease.release();
    const next = await waiting;
    const us = (performance.now() - startMs) * 1_000;
    await releasing;
    found.push({ us, trips: tripsBetween(before, together(ways)) });
    lease = next;
  }
  await lease.release();
  return found;
}

const together = ([one, other]) => one.asked.map((count, i) => count + other.asked[i]);

/** Nothing was answered for a while. */
async function quiet(ways) {
  const endMs = performance.now() + quietMsMax;
  let [seen, sinceMs] = ["", performance.now()];
  while (performance.now() - sinceMs < quietMs) {
    if (performance.now() > endMs) throw new Error("who stands in line does not stop asking");
    await new Promise((resolve) => setTimeout(resolve, 2));
    const now = String(together(ways));
    if (now !== seen) [seen, sinceMs] = [now, performance.now()];
  }
}
