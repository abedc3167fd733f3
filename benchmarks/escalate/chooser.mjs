/** Does the chooser of guarded updates do as well as the better of the strategies that never choose? */
import { built } from "../locks/build.mjs";
import { verify } from "../locks/combining.mjs";
import { systemEnvironmentOf } from "../locks/environment.mjs";
import { fraction, virtualStore } from "./virtual-store.mjs";

export const title =
  "Guarded updates of several processes, 2.6 ms round trip, in virtual time where no server is named: the chooser, against the better of always compare-and-set and always a lease";

const ratioMin = 0.9;
const spreadMax = 50;
const waitMs = 1e7;
const seed = 7;
/** Callers, keys. With few callers there are few processes. */
const callers = [1, 4, 16, 64];
const keys = [1, 16, 1_024];
const processes = [1, 4, 16];
/** In ms; the first part of it does not count, since what is known of each key is learnt then. */
const plans = {
  whole: { virtualMs: 2_000, realMs: 1_500, rounds: 3 },
  quick: { virtualMs: 1_000, realMs: 500, rounds: 1 },
};
const warmPart = 0.4;
const quickCells = (cell) => cell.keys !== 16 && cell.callers !== 16;
/** On a real server: some of them, each in real time. */
const realCells = [
  { processes: 1, callers: 64, keys: 1 },
  { processes: 4, callers: 16, keys: 1 },
  { processes: 16, callers: 64, keys: 1 },
  { processes: 16, callers: 64, keys: 16 },
  { processes: 16, callers: 64, keys: 1_024 },
];

const whys = {
  virtual:
    "who shares rests until another has got in; who never rests keeps the key, and the others wait for ever",
  real: "the same, and one processor has the server, the proxy and all the callers",
};

/** A strategy that never chooses, with the pauses that one would write: none, then jitter that grows. */
const fixed = (attempt) => () => {
  let lastMs = 0;
  return {
    choose: () => attempt,
    observe() {},
    restMs: () => 0,
    pauseMs({ conflicts }, roundTripMs) {
      const leastMs = Math.max(1, roundTripMs);
      const mostMs = Math.min(1_000, Math.max(conflicts <= 2 ? 0 : lastMs, leastMs) * 3);
      lastMs = leastMs + Math.random() * (mostMs - leastMs);
      return conflicts === 1 ? 0 : lastMs;
    },
  };
};
const strategies = {
  chooser: undefined,
  "compare-and-set": fixed("compare-and-set"),
  lease: fixed("lease"),
};

/** All rows. Of each number of processes: its cells, and how uneven the slowest calls of the worst are. */
export function rowsOf() {
  const rows = [];
  for (const count of processes) {
    const cells = callers
      .filter((callersOf) => callersOf >= count)
      .flatMap((callersOf) =>
        keys.map((keysOf) => ({ processes: count, callers: callersOf, keys: keysOf })),
      );
    rows.push(...rowsFor("virtual", `${count} processes`, cells));
  }
  rows.push(...rowsFor("real", "Redis", realCells));
  return rows;
}

function rowsFor(world, label, cells) {
  const needs = world === "real" ? ["redis"] : [];
  const id = ({ processes: count, callers: callersOf, keys: keysOf }) =>
    `${count}-${callersOf}-${keysOf}`;
  const spreads = [];
  const rows = cells.map((cell) => ({
    id: `chooser/${world}-${id(cell)}`,
    label: `${label}${world === "real" ? `, ${cell.processes} processes` : ""}, ${cell.callers} callers, ${cell.keys} keys`,
    unit: "/s",
    needs,
    isLong: world === "virtual" && !quickCells(cell),
    target: { ratio: { atLeast: ratioMin } },
    why: whys[world],
    async measure({ open, isQuick }) {
      const plan = isQuick ? plans.quick : plans.whole;
      const figures = await (world === "real"
        ? onRedis(open, cell, plan)
        : inVirtualTime(cell, plan));
      spreads.push(figures.unevenness);
      return figures;
    },
  }));
  rows.push({
    id: `chooser/${world}-p99-${cells[0].processes}`,
    label: `${label}: p99 / p50, the worst of these`,
    unit: "x",
    needs,
    target: { ours: { atMost: spreadMax } },
    why: "most are answered within a turn, and who waits for its own waits for those of the others",
    measure: async () => ({ ours: spreads.length > 0 ? Math.max(...spreads) : null }),
  });
  return rows;
}

async function inVirtualTime(cell, { virtualMs }) {
  const rates = {};
  for (const name of Object.keys(strategies)) {
    const store = await virtualStore(seed);
    const load = await Load.start(
      cell,
      name,
      () => store.client(),
      () => store.nowMs(),
    );
    await store.pass(virtualMs * warmPart);
    load.count();
    await store.pass(virtualMs * (1 - warmPart));
    rates[name] = load.figures();
    load.stop();
    await store.finish(load.verify());
  }
  return compare([rates]);
}

/** In turns, each process with a connection of its own. */
async function onRedis(open, cell, { realMs, rounds }) {
  const environment = await systemEnvironmentOf();
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const all = [];
  for (let round = 0; round < rounds; round++) {
    const rates = {};
    for (const name of Object.keys(strategies)) {
      const way = await open("redis", 1.3);
      const prefix = `chooser-${process.pid}-${cell.processes}-${cell.keys}-${round}-${name}/`;
      const clients = [];
      for (let i = 0; i < cell.processes; i++) {
        clients.push({ environment, locks: await way.locks(prefix) });
      }
      let next = 0;
      const load = await Load.start(
        cell,
        name,
        () => clients[next++ % clients.length],
        () => performance.now(),
      );
      await sleep(realMs * warmPart);
      load.count();
      await sleep(realMs * (1 - warmPart));
      rates[name] = load.figures();
      load.stop();
      await load.verify();
    }
    all.push(rates);
  }
  return compare(all);
}

/** Of the round in the middle. */
function compare(all) {
  const rows = all.map((rates) => {
    const { chooser, ...others } = rates;
    const floor = Math.max(...Object.values(others).map(({ perSecond }) => perSecond));
    return {
      ...{ ours: chooser.perSecond, floor, ratio: chooser.perSecond / floor },
      ...{ unevenness: chooser.unevenness, starved: others["compare-and-set"].starved },
    };
  });
  rows.sort((left, right) => left.ratio - right.ratio);
  return rows[rows.length >> 1];
}

/** Callers that each begin again when they are answered. */
class Load {
  #isOver = false;
  #fromMs = Number.POSITIVE_INFINITY;
  #nowMs;
  #spans = [];
  #all = 0;
  #served = new Set();
  #running;
  #callers;
  #keys;
  #reader;
  #updates;

  static async start({ processes: count, callers: callersOf, keys: keysOf }, name, client, nowMs) {
    const { GuardedUpdates } = await built("src/escalate/guarded-updates");
    const load = new Load();
    load.#nowMs = nowMs;
    [load.#callers, load.#keys] = [callersOf, keysOf];
    load.#updates = Array.from({ length: count }, () => {
      const { locks, environment } = client();
      load.#reader ??= locks;
      return new GuardedUpdates(locks, environment, strategies[name]);
    });
    const next = fraction(seed);
    const add = (current) => ({
      value: Buffer.from(String(Number(current ? Buffer.from(current).toString() : 0) + 1)),
      result: 0,
    });
    const call = async (_, i) => {
      const updates = load.#updates[i % count];
      while (!load.#isOver) {
        const fromMs = nowMs();
        await updates.update(`key-${Math.floor(next() * keysOf)}`, add, { waitMs });
        load.#all++;
        if (fromMs < load.#fromMs || load.#isOver) continue;
        load.#spans.push(nowMs() - fromMs);
        load.#served.add(i);
      }
    };
    load.#running = Promise.all(Array.from({ length: callersOf }, call));
    return load;
  }

  /** From now on they count. */
  count() {
    this.#fromMs = this.#nowMs();
  }

  figures() {
    const spans = this.#spans.toSorted((left, right) => left - right);
    const at = (part) => spans[Math.min(spans.length - 1, Math.floor(spans.length * part))];
    return {
      perSecond: (spans.length * 1_000) / (this.#nowMs() - this.#fromMs),
      unevenness: at(0.99) / at(0.5),
      starved: this.#callers - this.#served.size,
    };
  }

  stop() {
    this.#isOver = true;
  }

  /** Fails the row if an update was lost. */
  async verify() {
    await this.#running;
    await Promise.all(this.#updates.map((updates) => updates.close()));
    if (this.#keys === 1) await verify(this.#reader, "key-0", this.#all);
  }
}
