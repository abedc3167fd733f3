import { openRedis } from "../redis-client.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

/** The mutex of an npm package, around a read and a write. */
export const strategy: Strategy = {
  name: "redis-semaphore",
  title: "Redis: the Mutex of npm's redis-semaphore, read, write, release",
  family: "lock",
  service: "redis",
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open({ servers: [url = ""] }) {
    const { Mutex } = await import("redis-semaphore");
    const redis = await openRedis(url);
    const options = {
      lockTimeout: 10_000,
      acquireTimeout: 5_000,
      retryInterval: 10,
      // By default it throws where nobody can catch it. It is looked at before the write.
      onLockLost: () => undefined,
    };

    const verbs = verbsOfSections(
      async (keys, work) => {
        // In one order, so that nobody waits in a circle.
        const mutexes = keys.toSorted().map((key) => new Mutex(redis, key, options));
        try {
          for (const mutex of mutexes) await mutex.acquire();
          const values = (await redis.mget([...keys])).map((value) => value ?? undefined);
          const { result, writes = [] } = work(values);
          const changes = keys.flatMap((key, i) => {
            const value = writes[i];
            return value === undefined ? [] : [key, value];
          });
          if (!mutexes.every(({ isAcquired }) => isAcquired)) throw new Error("the lock was lost");
          if (changes.length > 0) await redis.mset(changes);
          return result;
        } finally {
          // What cannot be given back ends by itself.
          await Promise.allSettled(mutexes.map(async (mutex) => await mutex.release()));
        }
      },
      async (key) => (await redis.get(key)) ?? undefined,
    );
    return {
      ...verbs,
      fill: async (keys, units) =>
        void (await redis.mset(new Map(keys.map((key) => [key, units])))),
      count: async (keys) => (await redis.mget([...keys])).map(Number),
      close: async () => redis.disconnect(),
    };
  },
};
