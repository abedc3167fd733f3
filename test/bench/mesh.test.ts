import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { Network } from "../../src/cli/bench/network.ts";
import { type Client, loadStrategy } from "../../src/cli/bench/strategy.ts";
import type { WorkloadName } from "../../src/cli/bench/workload.ts";
import { seededRandom } from "../../src/cli/replay/random.ts";

const soon = { timeout: 20_000, interval: 5 };
const nodes = 3;
const keys = Array.from({ length: 20 }, (_, i) => `b1-0-a${i}`);

const closing = new Set<() => Promise<void>>();
afterEach(async () => {
  for (const close of [...closing].toReversed()) await stop(close);
});

async function stop(close: () => Promise<void>): Promise<void> {
  closing.delete(close);
  await close();
}

describe.each(["yjs", "automerge", "loro", "tinybase", "collabs"])("%s", (name) => {
  test("counts what three nodes add at the same time", async () => {
    const { first, second, third } = await service(name, "likes");
    const sums = keys.map(() => 0);
    await Promise.all([first, second, third].map((each, seed) => addMany(each, seed, sums)));
    await vi.waitFor(async () => {
      expect(await counts(first, second, third)).toEqual([sums, sums, sums]);
    }, soon);
  });

  test("what one node sets another gets, and all agree on one of two values", async () => {
    const { first, second, third } = await service(name, "register");
    await first.set?.("b1-0-a", "ada");
    await vi.waitFor(async () => {
      expect(await texts("b1-0-a", first, second, third)).toEqual(["ada", "ada", "ada"]);
    }, soon);
    expect(await texts("b1-0-none", first)).toEqual([undefined]);
    await first.set?.("b1-0-b", "bea");
    await second.set?.("b1-0-b", "bob");
    await vi.waitFor(async () => {
      const [one, ...others] = await texts("b1-0-b", third, first, second);
      expect(one).toMatch(/^(?:bea|bob)$/u);
      expect(others).toEqual([one, one]);
    }, soon);
  });

  test("what was written while a node was cut off arrives afterwards, both ways", async () => {
    const { first, second, third, network } = await service(name, "likes");
    const sums = keys.map(() => 0);
    await addMany(first, 1, sums);
    network.cut(2);
    await Promise.all([first, second, third].map((each, seed) => addMany(each, seed, sums)));
    await third.set?.("b1-0-a", "cut off");
    // Until what was sent is lost for good.
    await sleep(50);
    expect(await counts(third)).not.toEqual([sums]);
    network.heal(2);
    await addMany(second, 4, sums);
    await vi.waitFor(async () => {
      expect(await counts(first, second, third)).toEqual([sums, sums, sums]);
      expect(await texts("b1-0-a", first, second)).toEqual(["cut off", "cut off"]);
    }, soon);
  });

  test("what a node told only one of two before it died, the other hears of", async () => {
    const { first, second, third, network } = await service(name, "likes", { isTornOff: true });
    const sums = keys.map(() => 0);
    network.cut(1);
    await addMany(third, 1, sums);
    await vi.waitFor(async () => expect(await counts(first)).toEqual([sums]), soon);
    await stop(third.close);
    await vi.waitFor(async () => expect(await counts(first, second)).toEqual([sums, sums]), soon);
  });
});

interface Service {
  readonly first: Client;
  readonly second: Client;
  readonly third: Client;
  readonly network: Network;
}

/** Three nodes over a network; `isTornOff`: over it goes only the link of nodes 1 and 2. */
async function service(
  name: string,
  workload: WorkloadName,
  { isTornOff = false } = {},
): Promise<Service> {
  const strategy = await loadStrategy(name);
  const network = new Network(0);
  closing.add(async () => await network[Symbol.asyncDispose]());
  const clients: Client[] = [];
  for (let node = 0; node < nodes; node++) {
    const client = await strategy.open({
      ...{ node, nodes, workload, servers: [], space: "b1-0-", directory: undefined },
    });
    closing.add(client.close);
    const urls = await Promise.all(
      clients.map(async ({ url = "" }, other) =>
        isTornOff && node + other !== 3 ? url : await network.link(url, node, other),
      ),
    );
    await client.join?.(urls);
    clients.push(client);
  }
  const [first, second, third] = clients;
  if (!first || !second || !third) throw new Error("there are three");
  return { first, second, third, network };
}

/** Adds 300 times, over many turns of the event loop. */
async function addMany(client: Client, seed: number, sums: number[]): Promise<void> {
  const random = seededRandom(seed);
  for (let i = 0; i < 300; i++) {
    const key = Math.floor(random() * keys.length);
    const amount = 1 + Math.floor(random() * 3);
    await client.add?.(keys[key] ?? "", amount);
    sums[key] = (sums[key] ?? 0) + amount;
    if (i % 20 === 0) await sleep(1);
  }
}

/** What each counts of each key. */
async function counts(...clients: readonly Client[]): Promise<readonly (readonly number[])[]> {
  return await Promise.all(clients.map(async (client) => (await client.count?.(keys)) ?? []));
}

async function texts(
  key: string,
  ...clients: readonly Client[]
): Promise<readonly (string | undefined)[]> {
  return await Promise.all(clients.map(async (client) => await client.get?.(key)));
}
