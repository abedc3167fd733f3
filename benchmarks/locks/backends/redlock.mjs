/** Three Redis masters. The floor: four rounds of such scripts, each to all and done when two have answered. */
import { bareRedis, describeRedis } from "./redis.mjs";
import { serversOf } from "../backends.mjs";
import { built } from "../build.mjs";

const majority = 2;

/** Resolves when so many of these have. */
const most = (works) =>
  new Promise((resolve, reject) => {
    let done = 0;
    for (const work of works) {
      work.then(() => {
        if (++done === majority) resolve();
        return undefined;
      }, reject);
    }
  });

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = {
  name: "redlock",
  kind: "redis",
  async start() {
    const { startRedisMasters } = await built("src/cli/servers/redis");
    return serversOf(await startRedisMasters(3));
  },
  async connect(urls, { prefix }) {
    const { redlockLocks } = await built("src/escalate/locks/redlock");
    return redlockLocks({ urls, prefix, fencing: "durable" });
  },
  async bare(urls) {
    const masters = await Promise.all(urls.map((url) => bareRedis(url)));
    const round = (step) => most(masters.map((master) => master[step]()));
    return {
      does: "4 rounds of EVALSHA to all, until 2 of 3 answered",
      async cycle() {
        await round("open");
        await round("open");
        await round("write");
        await round("release");
      },
      async set() {
        await round("write");
      },
      close: async () => void (await Promise.all(masters.map(({ close }) => close()))),
    };
  },
  async describe([url]) {
    return `3 masters of ${await describeRedis(url)}`;
  },
  tripsMax: { cycle: 4, compareAndSet: 1, handOver: 2 },
  why: {
    time: "each phase waits for the two that answer, as the floor does; scripts that decide, and three connections' worth of layers",
    "compare-and-set":
      "two rounds, since a write needs a token of its own that a majority has agreed to, and one more behind the caller's back",
    "hand-over": "the next holder's token is agreed on in two rounds after the release",
  },
};
