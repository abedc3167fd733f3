import { openRedis } from "../redis-client.ts";
import type { Strategy } from "../strategy.ts";

/** The commands that Redis has for it. What has a limit needs more than they can. */
export const strategy: Strategy = {
  name: "redis-incrby",
  title: "Redis: INCRBY for counters, GET and SET for values",
  family: "atomic",
  service: "redis",
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
  workloads: ["likes", "register"],
  async open({ servers: [url = ""] }) {
    const redis = await openRedis(url);
    return {
      add: async (key, amount) => void (await redis.incrby(key, amount)),
      get: async (key) => (await redis.get(key)) ?? undefined,
      set: async (key, value) => void (await redis.set(key, value)),
      fill: async (keys, units) =>
        void (await redis.mset(new Map(keys.map((key) => [key, units])))),
      count: async (keys) => (await redis.mget([...keys])).map(Number),
      close: async () => redis.disconnect(),
    };
  },
};
