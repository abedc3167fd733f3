import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { openRedis } from "../redis-client.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const ttlMs = 10_000;
const waitMs = 5_000;
const pauseMs = 10;
/** Only who holds it may give it back. */
const release =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end";

/** The lock of Redis' own documentation, around a read and a write. */
export const strategy: Strategy = {
  name: "redis-lock",
  title: "Redis: SET NX PX with a token, read, write, release",
  family: "lock",
  service: "redis",
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ servers: [url = ""] }) {
    const redis = await openRedis(url);

    async function lock(key: string, token: string): Promise<void> {
      const endMs = performance.now() + waitMs;
      while ((await redis.set(`lock:${key}`, token, "PX", ttlMs, "NX")) !== "OK") {
        if (performance.now() > endMs) throw new Error(`no lock of ${key} within ${waitMs} ms`);
        await sleep(Math.random() * 2 * pauseMs);
      }
    }

    const verbs = verbsOfSections(
      async (keys, work) => {
        const token = randomUUID();
        const tried: string[] = [];
        try {
          // In one order, so that nobody waits in a circle.
          for (const key of keys.toSorted()) {
            // Before: whose answer is lost may hold it.
            tried.push(key);
            await lock(key, token);
          }
          const values = (await redis.mget([...keys])).map((value) => value ?? undefined);
          const { result, writes = [] } = work(values);
          const changes = keys.flatMap((key, i) => {
            const value = writes[i];
            return value === undefined ? [] : [key, value];
          });
          if (changes.length > 0) await redis.mset(changes);
          return result;
        } finally {
          // What cannot be given back ends by itself.
          await Promise.allSettled(
            tried.map(async (key) => await redis.eval(release, 1, `lock:${key}`, token)),
          );
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
