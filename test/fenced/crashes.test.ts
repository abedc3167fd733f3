/** The client is killed at every step of a call: before a request is sent, and before its answer comes. */
import { describe, expect, test } from "vitest";
import { rejection } from "../locks/trial.ts";
import { mortal, type When } from "./fuse.ts";
import { Cluster, joinAll, type Site } from "./scene.ts";

const amount = 7;

/** From A to B, as a section of two values. */
const transfer = ({ accounts, fenced }: Site, idempotencyKey?: string): Promise<string> =>
  fenced.escalate(
    [accounts.at("b"), accounts.at("a")],
    (section) => {
      const [b = 0, a = 0] = section.values;
      section.set(accounts.at("a"), a - amount);
      section.set(accounts.at("b"), b + amount);
      return `moved ${amount}`;
    },
    { waitMs: 60_000, ttlMs: 1_000, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) },
  );

const spend = ({ accounts }: Site, idempotencyKey: string): Promise<number | undefined> =>
  accounts.update("a", (a = 0) => a - amount, { waitMs: 60_000, idempotencyKey });

/** Runs `call` until the client dies after `requestsMax` requests; false if it came to its end before. */
async function killedAt(
  requestsMax: number,
  when: When,
  call: (site: Site) => Promise<unknown>,
): Promise<{ readonly cluster: Cluster; readonly wasKilled: boolean }> {
  const cluster = new Cluster();
  const { site, fuse } = mortal(cluster);
  await cluster.run(site.accounts.update("a", () => 100));
  await cluster.run(site.accounts.update("b", () => 0));
  Object.assign(fuse, { left: requestsMax, when });
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  call(site).then(over, over);
  await cluster.world.settle({ until: () => isOver || fuse.isBlown, forMs: 120_000 });
  return { cluster, wasKilled: fuse.isBlown };
}

/** The steps of a call, found by counting. */
async function* steps(call: (site: Site) => Promise<unknown>): AsyncGenerator<Cluster> {
  let kills = 0;
  for (const when of ["before", "after"] as const) {
    for (let step = 0; step < 100; step++) {
      const { cluster, wasKilled } = await killedAt(step, when, call);
      if (!wasKilled) break;
      kills++;
      yield cluster;
    }
  }
  expect(kills).toBeGreaterThanOrEqual(2);
}

const balances = async (cluster: Cluster, site: Site): Promise<(number | undefined)[]> => [
  await cluster.run(site.accounts.read("a", { waitMs: 60_000 })),
  await cluster.run(site.accounts.read("b", { waitMs: 60_000 })),
];

describe("a client that is killed", () => {
  test("in a transfer leaves all of it or nothing, blocks nobody for long, and every replica comes to know", async () => {
    for await (const cluster of steps((site) => transfer(site))) {
      const other = cluster.site();
      const sum = other.fenced.escalate(
        [other.accounts.at("a"), other.accounts.at("b")],
        ({ values: [a = 0, b = 0] }) => [a, b],
        { waitMs: 30_000 },
      );
      const [a = 0, b = 0] = await cluster.run(sum);
      expect([
        [100, 0],
        [100 - amount, amount],
      ]).toContainEqual([a, b]);
      // Whoever reads it publishes it, also what the dead one could not.
      joinAll(cluster.sites.slice(1).concat(cluster.site()));
      for (const { accounts } of cluster.sites.slice(1)) {
        expect([accounts.get("a"), accounts.get("b")]).toEqual([a, b]);
      }
    }
  });

  test("in a transfer under a key has it done once, when another replica repeats it", async () => {
    for await (const cluster of steps((site) => transfer(site, "k"))) {
      const other = cluster.site();
      expect(await cluster.run(transfer(other, "k"))).toBe(`moved ${amount}`);
      expect(await cluster.run(transfer(cluster.site(), "k"))).toBe(`moved ${amount}`);
      expect(await balances(cluster, other)).toEqual([100 - amount, amount]);
    }
  });

  test("in an update under a key has it done once, when another replica repeats it", async () => {
    for await (const cluster of steps((site) => spend(site, "k"))) {
      const other = cluster.site();
      expect(await cluster.run(spend(other, "k"))).toBe(100 - amount);
      expect(await cluster.run(spend(cluster.site(), "k"))).toBe(100 - amount);
      expect(await balances(cluster, other)).toEqual([100 - amount, 0]);
    }
  });

  test("in a claim leaves the name free or its own", async () => {
    const claim = ({ username }: Site): Promise<void> => username.claim("ada", "u:1");
    for await (const cluster of steps(claim)) {
      const { username } = cluster.site();
      const owner = await cluster.run(username.readOwner("ada", { waitMs: 60_000 }));
      const second = username.claim("ada", "u:2", { waitMs: 60_000 });
      if (owner === undefined) await cluster.run(second);
      else await cluster.run(rejection(second));
      expect(await cluster.run(username.readOwner("ada"))).toBe(owner ?? "u:2");
    }
  });

  test("in a payment, as docs/fenced.md has it, has it charged once when all is done again", async () => {
    const charges = new Map<Cluster, Map<string, number>>();
    const pay = async ({ notes }: Site, charged: Map<string, number>): Promise<void> => {
      const order = (await notes.update(
        "17",
        (now, { operationId }) => now ?? { state: "paying", amount: 30, paymentId: operationId },
        { idempotencyKey: "pay-17", waitMs: 60_000 },
      )) as { state: string; amount: number; paymentId: string };
      if (order.state !== "paying") return;
      charged.set(order.paymentId, order.amount);
      await notes.update("17", (now) => now && { ...now, state: "paid" }, { waitMs: 60_000 });
    };
    const charged = new Map<string, number>();
    for await (const cluster of steps((site) => pay(site, charged))) {
      charges.set(cluster, new Map(charged));
      const other = cluster.site();
      await cluster.run(pay(other, charged));
      await cluster.run(pay(cluster.site(), charged));
      expect([...charged.values()]).toEqual([30]);
      expect(await cluster.run(other.notes.read("17"))).toMatchObject({ state: "paid" });
      charged.clear();
    }
    // Some died after the charge, some before it.
    const before = [...charges.values()].map(({ size }) => size);
    expect(new Set(before)).toEqual(new Set([0, 1]));
  });
});
