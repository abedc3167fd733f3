/** Does each strategy do what its verbs promise, when two nodes call them at the same time and nothing breaks? */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { type Client, loadStrategies, type Strategy } from "../../src/cli/bench/strategy.ts";
import { type WorkloadName, workloadOf } from "../../src/cli/bench/workload.ts";
import { seededRandom } from "../../src/cli/replay/random.ts";
import { until } from "../../src/cli/servers/until.ts";
import { isServiceSkipped, service } from "../servers/service.ts";

/** How long nodes may take to see what another one was told, in ms. */
const seenMs = 10_000;
const strategies = await loadStrategies();
const root = await mkdtemp(join(tmpdir(), "trellis-strategies-"));
let spaces = 0;

afterAll(async () => await rm(root, { recursive: true, force: true, maxRetries: 3 }));

test("each strategy is named as its file is", async () => {
  const files = await readdir(new URL("../../src/cli/bench/strategies/", import.meta.url));
  const names = files.filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3));
  expect(strategies.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
});

describe.each(strategies.map((strategy) => [strategy.name, strategy] as const))(
  "%s",
  (_, strategy) => {
    const { durable, volatile, isStrawman, service: needs, workloads } = strategy;

    test("says what it does and what it survives", () => {
      expect(strategy.title).not.toBe("");
      expect(durable ?? volatile ?? "").not.toBe("");
      expect(workloads.length).toBeGreaterThan(0);
    });

    const isSkipped = needs !== undefined && isServiceSkipped(needs);
    // A server is as durable as it was started.
    const isDurableToo = durable !== undefined && (needs === undefined || volatile === undefined);
    const ways = [volatile === undefined ? [] : "volatile", isDurableToo ? "durable" : []].flat();
    describe.skipIf(isSkipped).each(ways)("%s", (way) => {
      for (const workload of workloads) {
        test(`${workload}: ${isStrawman ? "answers" : workloadOf(workload).rule}`, async () => {
          await using pair = await Pair.open(strategy, workload, way === "durable");
          for (const verb of workloadOf(workload).verbs) {
            for (const client of pair.clients) expect(client[verb]).toBeTypeOf("function");
          }
          await checks[workload](pair, isStrawman !== true);
        });
      }
    });
  },
);

/** Two nodes of a service. */
class Pair implements AsyncDisposable {
  readonly clients: Client[] = [];
  readonly space: string = `t${process.pid}-${spaces++}-`;

  static async open(strategy: Strategy, workload: WorkloadName, isDurable: boolean): Promise<Pair> {
    const pair = new Pair();
    try {
      const servers = strategy.service === undefined ? [] : await service(strategy.service);
      for (const node of [0, 1]) {
        const directory = isDurable ? join(root, `${pair.space}${node}`) : undefined;
        const context = { node, nodes: 2, workload, servers, space: pair.space, directory };
        pair.clients.push(await strategy.open(context));
      }
      const urls = pair.clients.flatMap(({ url }) => url ?? []);
      await Promise.all(
        pair.clients.map(async (client, node) => await client.join?.(urls.slice(0, node))),
      );
      return pair;
    } catch (error) {
      await pair[Symbol.asyncDispose]();
      throw error;
    }
  }

  keys(count: number): string[] {
    return Array.from({ length: count }, (_, i) => `${this.space}a${i}`);
  }

  /** The verb of each node. */
  each<V extends keyof Client>(verb: V): NonNullable<Client[V]>[] {
    return this.clients.map((client) => client[verb] ?? expect.unreachable(`no ${verb}`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.clients.map(async (client) => await client.close()));
  }
}

/** Waits until both nodes show these units. */
async function showsUnits(
  pair: Pair,
  keys: readonly string[],
  expected: readonly number[],
): Promise<void> {
  let shown: (readonly number[])[] = [];
  const isSeen = async (): Promise<boolean> => {
    shown = await Promise.all(pair.each("count").map(async (count) => await count(keys)));
    return shown.every((units) => units.every((each, key) => each === expected[key]));
  };
  await until("both nodes show the units", seenMs, isSeen).catch(() => undefined);
  expect(shown).toEqual([expected, expected]);
}

async function fill(pair: Pair, keys: readonly string[], units: number): Promise<void> {
  await pair.each("fill")[0]?.(keys, units);
  await showsUnits(
    pair,
    keys,
    keys.map(() => units),
  );
}

/** Calls `times` times on each node, all at once, and tells the results. */
async function together<F, T>(
  verbs: readonly F[],
  times: number,
  call: (verb: F, index: number) => T | Promise<T>,
): Promise<T[]> {
  const calls = Array.from({ length: times }, (_, time) =>
    verbs.map(async (verb, node) => await call(verb, time * verbs.length + node)),
  );
  return await Promise.all(calls.flat());
}

/** What each workload asks of two nodes. `isSound`: its rule is looked at, too. */
const checks: Readonly<Record<WorkloadName, (pair: Pair, isSound: boolean) => Promise<void>>> = {
  async likes(pair) {
    const keys = pair.keys(3);
    const expected = [0, 0, 0];
    await together(pair.each("add"), 20, async (add, index) => {
      const key = index % keys.length;
      const amount = 1 + (index % 2);
      expected[key] = (expected[key] ?? 0) + amount;
      await add(keys[key] ?? "", amount);
    });
    await showsUnits(pair, keys, expected);
  },

  async stock(pair, isSound) {
    const keys = pair.keys(3);
    await fill(pair, keys, 10);
    const taken = [0, 0, 0];
    await together(pair.each("take"), 30, async (take, index) => {
      const key = index % keys.length;
      if (await take(keys[key] ?? "", 1)) taken[key] = (taken[key] ?? 0) + 1;
    });
    expect(Math.max(...taken)).toBeGreaterThan(0);
    if (!isSound) return;
    for (const units of taken) expect(units).toBeLessThanOrEqual(10);
    await showsUnits(
      pair,
      keys,
      taken.map((units) => 10 - units),
    );
  },

  async coupons(pair, isSound) {
    const redeems = await together(pair.each("redeem"), 10, (redeem, index) =>
      redeem(`${pair.space}a:0:0`, `customer-${index}`),
    );
    if (isSound) expect(redeems.filter(Boolean)).toEqual([true]);
  },

  async names(pair, isSound) {
    const [name = ""] = pair.keys(1);
    const verbs = pair.each("claim");
    const claims = await together(verbs, 10, (claim, index) => claim(name, `owner-${index}`));
    if (!isSound) return;
    expect(claims.filter(Boolean)).toEqual([true]);
    const winner = claims.indexOf(true);
    for (const claim of verbs) {
      expect(await claim(name, `owner-${winner}`)).toBe(true);
      expect(await claim(name, `owner-${winner + 1}`)).toBe(false);
    }
  },

  async register(pair) {
    const [key = ""] = pair.keys(1);
    const gets = pair.each("get");
    for (const get of gets) expect(await get(key)).toBeUndefined();
    for (const [node, set] of pair.each("set").entries()) {
      await set(key, `${node}.0`);
      for (const get of gets) {
        await until("the value is seen", seenMs, async () => (await get(key)) === `${node}.0`);
      }
    }
  },

  async transfers(pair, isSound) {
    const keys = pair.keys(4);
    await fill(pair, keys, 10);
    const random = seededRandom(7);
    const draw = (below: number): number => Math.floor(random() * below);
    const expected = [10, 10, 10, 10];
    await together(pair.each("move"), 20, async (move) => {
      const from = draw(4);
      const to = (from + 1 + draw(3)) % 4;
      const units = 1 + draw(5);
      if (!(await move(keys[from] ?? "", keys[to] ?? "", units))) return;
      expected[from] = (expected[from] ?? 0) - units;
      expected[to] = (expected[to] ?? 0) + units;
    });
    if (!isSound) return;
    for (const units of expected) expect(units).toBeGreaterThanOrEqual(0);
    await showsUnits(pair, keys, expected);
  },
};
