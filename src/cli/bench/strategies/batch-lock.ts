import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { openRedis } from "../redis-client.ts";
import { type Exclusively, verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";

const ttlMs = 10_000;
const waitMs = 5_000;
const pauseMs = 2;
const operationsMax = 256;
/** Only who holds it may give it back. */
const release =
  "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end";

/** An operation that waits for the next batch. */
interface Queued {
  readonly keys: readonly string[];
  /** Over the values that the batch read; what it writes is noted. Returns what answers it, once that is stored. */
  readonly apply: (values: Map<string, string>, written: Set<string>) => () => void;
  readonly fail: (error: unknown) => void;
}

/** One lock for all keys, whose price is shared by all that arrived while it was waited for. */
export const strategy: Strategy = {
  name: "batch-lock",
  title: "Redis: one lock for all that a node has queued, read, write, release",
  family: "baseline",
  service: "redis",
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open({ servers: [url = ""], space }) {
    const redis = await openRedis(url);
    const lock = `lock:${space}`;
    const queue: Queued[] = [];
    let isRunning = false;

    async function acquire(token: string): Promise<void> {
      const endMs = performance.now() + waitMs;
      while ((await redis.set(lock, token, "PX", ttlMs, "NX")) !== "OK") {
        if (performance.now() > endMs) throw new Error(`no lock within ${waitMs} ms`);
        await sleep(Math.random() * 2 * pauseMs);
      }
    }

    async function runBatch(token: string): Promise<void> {
      let batch: readonly Queued[] = [];
      try {
        await acquire(token);
        batch = queue.splice(0, operationsMax);
        const keys = [...new Set(batch.flatMap((each) => each.keys))];
        const found = await redis.mget(keys);
        const values = new Map<string, string>();
        for (const [i, key] of keys.entries()) {
          const value = found[i];
          if (typeof value === "string") values.set(key, value);
        }
        const written = new Set<string>();
        const answers = batch.map((each) => each.apply(values, written));
        const changes = [...written].flatMap((key) => [key, values.get(key) ?? ""]);
        // Sent at once, over one connection: the lock is given back after the write.
        const stored = changes.length > 0 ? redis.mset(changes) : undefined;
        await Promise.all([stored, redis.eval(release, 1, lock, token)]);
        for (const answer of answers) answer();
      } catch (error) {
        if (batch.length === 0) batch = queue.splice(0, operationsMax);
        for (const each of batch) each.fail(error);
        // What cannot be given back ends by itself.
        await redis.eval(release, 1, lock, token).catch(() => undefined);
      }
    }

    async function run(): Promise<void> {
      isRunning = true;
      while (queue.length > 0) await runBatch(randomUUID());
      isRunning = false;
    }

    const exclusively: Exclusively = async (keys, work) =>
      await new Promise((resolve, reject) => {
        queue.push({
          keys,
          apply(values, written) {
            const { result, writes = [] } = work(keys.map((key) => values.get(key)));
            for (const [i, key] of keys.entries()) {
              const value = writes[i];
              if (value === undefined) continue;
              values.set(key, value);
              written.add(key);
            }
            return () => resolve(result);
          },
          fail: reject,
        });
        if (!isRunning) void run();
      });
    return {
      ...verbsOfSections(exclusively, async (key) => (await redis.get(key)) ?? undefined),
      fill: async (keys, units) =>
        void (await redis.mset(new Map(keys.map((key) => [key, units])))),
      count: async (keys) => (await redis.mget([...keys])).map(Number),
      close: async () => redis.disconnect(),
    };
  },
};
