/** How many units can one process sell in a second: by local rights, under a lock, by asking Redis for each? */
import { Redis } from "ioredis";
import { median, turn } from "../crdt/measure.mjs";
import { operationId } from "../locks/backends.mjs";
import { atOnce } from "../locks/combining.mjs";
import { cycleOf } from "../locks/cycle.mjs";
import { openShop, stockUnits, untilRightsSuffice } from "./shop.mjs";

export const title = "Decrements a second of one counter, from one process, loopback";

const callers = 1_000;
const inTurn = 10_000;
const plans = { whole: { rounds: 5, sliceMs: 500 }, quick: { rounds: 3, sliceMs: 250 } };

const paths = {
  try: "tryDecrement",
  memory: `await decrement, memory only, ${callers} callers`,
  disk: `await decrement, on the disk, ${callers} callers`,
};
const rivals = {
  lock: { label: "the best lock cycle", atLeast: 100 },
  lua: { label: `Redis, conditional script, ${callers} callers`, atLeast: 20 },
  operate: { label: `operate on Redis, ${callers} callers`, atLeast: 20 },
};
const whys = {
  memory: "a promise for each caller, and its turn among the microtasks",
  disk: "a promise for each caller, and one synchronised write for those who came while the last one was under way",
};

/** All rows. They are measured together, in turns. */
export function rowsOf() {
  let measured;
  return Object.entries(paths).flatMap(([path, ours]) =>
    Object.entries(rivals).map(([rival, { label, atLeast }]) => ({
      id: `rate/${path}-${rival}`,
      label: `${ours}; against ${label}`,
      unit: "/s",
      needs: ["redis", "embedded"],
      target: { ratio: { atLeast } },
      why: whys[path],
      async measure({ open, isQuick }) {
        measured ??= measureAll(open, isQuick ? plans.quick : plans.whole);
        const rates = await measured;
        return {
          ours: median(rates.map((rate) => rate[path])),
          floor: median(rates.map((rate) => rate[rival])),
          ratio: median(rates.map((rate) => rate[path] / rate[rival])),
        };
      },
    })),
  );
}

async function measureAll(open, { rounds, sliceMs }) {
  const [redis, embedded] = [await open("redis", undefined), await open("embedded", undefined)];
  const [locks, others] = [await redis.locks(), await embedded.locks()];
  const shops = [await openShop(), await openShop({ isDurable: true })];
  const script = await conditionalScript(redis.addresses[0]);
  try {
    const [inMemory, onDisk] = shops.map(({ stock }) => stock.at("sku"));
    const add = { kind: "add", by: -1n, min: 0n };
    await locks.operate("sum", { kind: "add", by: BigInt(stockUnits) }, operationId());
    const perSecond = async (count, work) => (await atOnce(count, sliceMs, work)).perSecond;
    const works = {
      try: () => tries(inMemory, sliceMs),
      memory: () => perSecond(callers, () => inMemory.decrement()),
      disk: () => perSecond(callers, () => onDisk.decrement()),
      redisLock: () => perSecond(1, cycleOf(locks, "one")),
      embeddedLock: () => perSecond(1, cycleOf(others, "one")),
      lua: () => perSecond(callers, () => script.decrement()),
      operate: () => perSecond(callers, () => locks.operate("sum", add, operationId())),
    };
    const names = Object.keys(works);
    for (const name of names) await works[name]();
    const rates = [];
    for (let round = 0; round < rounds; round++) {
      const rate = {};
      for (let i = 0; i < names.length; i++) {
        const name = names[(i + round) % names.length];
        rate[name] = await works[name]();
      }
      rate.lock = Math.max(rate.redisLock, rate.embeddedLock);
      rates.push(rate);
    }
    return rates;
  } finally {
    script.close();
    await Promise.all(shops.map((shop) => shop.close()));
  }
}

/** One caller, who counts what it gets. */
async function tries(handle, sliceMs) {
  const take = () => {
    let taken = 0;
    for (let i = 0; i < inTurn; i++) if (handle.tryDecrement()) taken++;
    return taken;
  };
  await untilRightsSuffice(async () => {
    const taken = take();
    await turn();
    return inTurn - taken;
  });
  const startMs = performance.now();
  let taken = 0;
  let spentMs = 0;
  while (spentMs < sliceMs) {
    taken += take();
    await turn();
    spentMs = performance.now() - startMs;
  }
  return (taken * 1_000) / spentMs;
}

/** What one would write by hand: no ids, no fence, one key. */
async function conditionalScript(url) {
  const client = new Redis(url, { lazyConnect: true });
  client.on("error", () => undefined);
  await client.connect();
  client.defineCommand("take", {
    numberOfKeys: 1,
    lua: `if tonumber(redis.call('GET', KEYS[1])) < 1 then return 0 end
redis.call('DECR', KEYS[1])
return 1`,
  });
  await client.set("{by-hand}stock", String(stockUnits));
  return {
    async decrement() {
      if ((await client.take("{by-hand}stock")) !== 1) throw new Error("nothing is left");
    },
    close: () => client.disconnect(),
  };
}
