import type { Redis } from "ioredis";
import type { CompatibleRedisClient } from "redlock";
import { openRedis } from "../redis-client.ts";
import { verbsOfSections } from "../sections.ts";
import type { Client, Strategy } from "../strategy.ts";

const ttlMs = 10_000;
/** Under load attempts take longer than when they were measured, and this becomes about 5 s. */
const waitMs = 4_000;
const pauseMs = 10;

/** The npm package in front of one Redis, as most have it. */
export const strategy: Strategy = {
  name: "redlock-npm",
  title: "Redis: a lock of npm's redlock on one server, read, write, release",
  family: "lock",
  service: "redis",
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  open: async ({ servers }) => await openRedlock(servers),
};

/** Locks on all masters; the values lie on the first one. */
export async function openRedlock(urls: readonly string[]): Promise<Client> {
  const { default: Redlock } = await import("redlock");
  const masters = await Promise.all(urls.map(openRedis));
  const [redis] = masters;
  if (redis === undefined) throw new Error("redlock needs a server");
  // Its types are of older clients.
  const clients: unknown[] = masters;
  const redlock = new Redlock(clients as CompatibleRedisClient[], {
    retryDelay: pauseMs,
    retryJitter: pauseMs,
    // It counts attempts, not time. One that fails takes two round trips.
    retryCount: Math.ceil(waitMs / (pauseMs + 2 * (await roundTripMs(redis)))),
  });

  const verbs = verbsOfSections(
    async (keys, work) => {
      const lock = await redlock.lock(
        keys.map((key) => `lock:${key}`),
        ttlMs,
      );
      try {
        const values = (await redis.mget([...keys])).map((value) => value ?? undefined);
        const { result, writes = [] } = work(values);
        const changes = keys.flatMap((key, i) => {
          const value = writes[i];
          return value === undefined ? [] : [key, value];
        });
        if (changes.length > 0) await redis.mset(changes);
        return result;
      } finally {
        // It throws if the lock was lost meanwhile, and so should this.
        await lock.unlock();
      }
    },
    async (key) => (await redis.get(key)) ?? undefined,
  );
  return {
    ...verbs,
    fill: async (keys, units) => void (await redis.mset(new Map(keys.map((key) => [key, units])))),
    count: async (keys) => (await redis.mget([...keys])).map(Number),
    close: async () => {
      for (const master of masters) master.disconnect();
    },
  };
}

async function roundTripMs(redis: Redis): Promise<number> {
  // The first one waits for the connection.
  await redis.ping();
  const startMs = performance.now();
  await redis.ping();
  return performance.now() - startMs;
}
