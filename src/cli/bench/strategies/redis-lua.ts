import type { Redis } from "ioredis";
import { openRedis } from "../redis-client.ts";
import type { Strategy } from "../strategy.ts";

const add = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
const take = `
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
return 1`;
const move = `
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then return 0 end
redis.call('DECRBY', KEYS[1], ARGV[1])
redis.call('INCRBY', KEYS[2], ARGV[1])
return 1`;

/** What `defineCommand` adds. */
interface Scripts {
  addUnits(key: string, amount: number): Promise<number>;
  takeUnits(key: string, units: number): Promise<number>;
  moveUnits(from: string, to: string, units: number): Promise<number>;
}

/** Redis decides, so nothing has to be locked. */
export const strategy: Strategy = {
  name: "redis-lua",
  title: "Redis: one Lua script for each operation, or one command where that is enough",
  family: "atomic",
  service: "redis",
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open({ servers: [url = ""] }) {
    const client = await openRedis(url);
    client.defineCommand("addUnits", { numberOfKeys: 1, lua: add });
    client.defineCommand("takeUnits", { numberOfKeys: 1, lua: take });
    client.defineCommand("moveUnits", { numberOfKeys: 2, lua: move });
    const redis = client as Redis & Scripts;
    return {
      add: async (key, amount) => void (await redis.addUnits(key, amount)),
      take: async (key, units) => (await redis.takeUnits(key, units)) === 1,
      redeem: async (coupon, customer) => (await redis.set(coupon, customer, "NX")) === "OK",
      async claim(name, owner) {
        const before = await redis.set(name, owner, "NX", "GET");
        return before === null || before === owner;
      },
      get: async (key) => (await redis.get(key)) ?? undefined,
      set: async (key, value) => void (await redis.set(key, value)),
      move: async (from, to, units) => (await redis.moveUnits(from, to, units)) === 1,
      fill: async (keys, units) =>
        void (await redis.mset(new Map(keys.map((key) => [key, units])))),
      count: async (keys) => (await redis.mget([...keys])).map(Number),
      close: async () => redis.disconnect(),
    };
  },
};
