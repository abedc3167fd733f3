/** A store that was wiped, set back or replaced is refused, until an operator adopts it. */
import { describe, expect, test } from "vitest";
import { StoreRolledBackError, UsageError } from "../../src/errors.ts";
import { encodeEnvelope } from "../../src/escalate/fenced/envelope.ts";
import { KeyMemory } from "../../src/escalate/fenced/key-memory.ts";
import { rejection } from "../locks/trial.ts";
import { Cluster, join, joinAll, type Site } from "./scene.ts";

const add = (current: number | undefined): number => (current ?? 0) + 1;

/** Everything that asks the guard of a value that is known here. */
const askEverything = (site: Site): Promise<unknown>[] => [
  site.accounts.read("x"),
  site.accounts.update("x", add),
  site.accounts.delete("x", { idempotencyKey: "k" }),
  site.fenced.escalate([site.accounts.at("x")], () => 1),
  site.fenced.escalate([site.accounts.at("w"), site.accounts.at("x")], () => 1),
  site.username.claim("ada", "u:2"),
  site.username.release("ada", "u:1"),
];

/** A store with values, a replica that knows them, and another that has heard of them from the first. */
async function known(): Promise<{ cluster: Cluster; a: Site; b: Site }> {
  const cluster = new Cluster();
  const [a, b] = [cluster.site(), cluster.site()];
  for (let i = 0; i < 5; i++) await cluster.run(a.accounts.update("x", add));
  await cluster.run(a.accounts.update("gone", () => 1));
  await cluster.run(a.accounts.delete("gone"));
  await cluster.run(a.username.claim("ada", "u:1"));
  join(b, a);
  return { cluster, a, b };
}

/** The same replica in a new process: it has its disk, and a client that never met the store. */
const reopened = (cluster: Cluster, { keyspace, births }: Site): Site =>
  cluster.site({ keyspace, births });

describe("a store that was set back", () => {
  test("is refused by whoever saw more, or only heard of it, and nothing is written", async () => {
    const { cluster, a, b } = await known();
    const then = new Map(cluster.records);
    await cluster.run(a.accounts.update("x", add));
    await cluster.run(a.username.release("ada", "u:1"));
    join(b, a);
    cluster.setBack(then);
    const before = cluster.written;
    // A saw it itself; B has only heard of it; both also after they were opened again.
    for (const site of [a, b, reopened(cluster, a), reopened(cluster, b)]) {
      for (const error of await cluster.run(Promise.all(askEverything(site).map(rejection)))) {
        expect(error).toBeInstanceOf(StoreRolledBackError);
      }
      expect(site.accounts.get("x")).toBe(6);
    }
    expect(cluster.written).toEqual(before);
  });

  test("is not noticed by who knows nothing of what is gone, whose write is refused by the others", async () => {
    const { cluster, a } = await known();
    const then = new Map(cluster.records);
    for (let i = 0; i < 3; i++) await cluster.run(a.accounts.update("x", add));
    cluster.setBack(then);
    const c = cluster.site();
    expect(await cluster.run(c.accounts.update("x", () => 100))).toBe(100);
    expect(await cluster.run(rejection(a.accounts.read("x")))).toBeInstanceOf(StoreRolledBackError);
    // And as soon as C hears of it, it refuses too.
    joinAll([a, c]);
    expect([a.accounts.get("x"), c.accounts.get("x")]).toEqual([8, 8]);
    const refused = c.accounts.update("x", add);
    expect(await cluster.run(rejection(refused))).toBeInstanceOf(StoreRolledBackError);
  });

  test("is adopted with what the copies say, by one for all, and old copies never win again", async () => {
    const { cluster, a, b } = await known();
    const then = new Map(cluster.records);
    await cluster.run(a.accounts.update("x", add, { idempotencyKey: "k" }));
    cluster.setBack(then);
    const late = cluster.site();
    join(late, a);
    expect(await cluster.run(b.accounts.update("y", add))).toBe(1);
    expect(await cluster.run(b.fenced.adopt())).toEqual({ adopted: 0, unchanged: 4 });
    expect(await cluster.run(a.fenced.adopt())).toEqual({ adopted: 1, unchanged: 2 });
    expect(a.accounts.peek("x")).toMatchObject({ value: 6, version: 6 });
    expect(await cluster.run(a.accounts.update("x", add))).toBe(7);
    // B had its copy of before, and follows by reading; the late one by hearing of it.
    expect(await cluster.run(b.accounts.read("x"))).toBe(7);
    joinAll(cluster.sites);
    expect(cluster.sites.map(({ accounts }) => accounts.get("x"))).toEqual([7, 7, 7]);
    expect(await cluster.run(late.accounts.update("x", add))).toBe(8);
    expect(await cluster.run(a.fenced.adopt({ collection: "accounts" }))).toEqual({
      adopted: 0,
      unchanged: 3,
    });
  });
});

test("a guard with the version that is remembered here, but of another lineage, is another one", async () => {
  const { cluster, a } = await known();
  const resource = "trellis/value/accounts/x";
  const record = cluster.records.get(resource);
  const adopted = encodeEnvelope({ lineage: 2, value: 70, memory: KeyMemory.empty });
  if (record)
    cluster.setBack(new Map(cluster.records).set(resource, { ...record, value: adopted }));
  const looked: unknown[] = [];
  const looking = a.accounts.update("x", (current) => {
    looked.push(current);
    throw new RangeError("only looking");
  });
  expect(await cluster.run(rejection(looking))).toBeInstanceOf(RangeError);
  expect(looked).toEqual([5, 70]);
  expect(await cluster.run(a.accounts.update("x", add))).toBe(71);
});

describe("a store that was wiped", () => {
  test("is refused by running replicas, and by those that are opened again", async () => {
    const { cluster, a, b } = await known();
    await cluster.run(b.accounts.read("x"));
    cluster.table.wipe();
    for (const site of [a, b, reopened(cluster, a), reopened(cluster, b)]) {
      const asked = [...askEverything(site), site.accounts.update("new", add)];
      for (const error of await cluster.run(Promise.all(asked.map(rejection)))) {
        expect(error).toBeInstanceOf(StoreRolledBackError);
      }
    }
  });

  test("is adopted by one replica; others follow by its note, and tokens grow on", async () => {
    const { cluster, a, b } = await known();
    await cluster.run(b.accounts.read("x"));
    const token = ({ fenced, accounts }: Site): Promise<string> =>
      fenced.escalate([accounts.at("x")], ({ tokens: [x] }) => String(x));
    for (let i = 0; i < 20; i++) await cluster.run(token(a));
    const before = BigInt(await cluster.run(token(a)));
    cluster.table.wipe();
    const again = reopened(cluster, a);
    expect(await cluster.run(again.fenced.adopt())).toEqual({ adopted: 3, unchanged: 0 });
    expect(again.accounts.peek("x")).toMatchObject({ value: 5, version: 1 });
    expect(BigInt(await cluster.run(token(again)))).toBeGreaterThan(before);
    expect(await cluster.run(again.accounts.update("x", add))).toBe(6);
    // B has not heard of it from A: the store says that it replaces the one that B knew.
    const other = reopened(cluster, b);
    expect(await cluster.run(other.accounts.read("x"))).toBe(6);
    expect(await cluster.run(other.username.readOwner("ada"))).toBe("u:1");
    joinAll([again, other]);
    expect([again.accounts.get("gone"), other.accounts.keys()]).toEqual([undefined, ["x"]]);
    // Who saw neither store before has nothing to hold against it; who knew a third one has.
    expect(await cluster.run(cluster.site().accounts.read("x"))).toBe(6);
    const stranger = cluster.site();
    stranger.births.rememberBirth("a third store");
    expect(await cluster.run(rejection(stranger.accounts.read("x")))).toBeInstanceOf(
      StoreRolledBackError,
    );
  });

  test("is adopted by two at once with one result", async () => {
    const { cluster, a, b } = await known();
    await cluster.run(b.accounts.read("x"));
    cluster.table.wipe();
    const [first, second] = [reopened(cluster, a), reopened(cluster, b)];
    await cluster.run(Promise.all([first.fenced.adopt(), second.fenced.adopt()]));
    expect(await cluster.run(first.accounts.update("x", add))).toBe(6);
    expect(await cluster.run(second.accounts.update("x", add))).toBe(7);
    joinAll([first, second]);
    expect(first.accounts.peek("x")).toEqual(second.accounts.peek("x"));
  });

  test("is adopted key by key, and no collection that is not fenced can be", async () => {
    const { cluster, a } = await known();
    cluster.table.wipe();
    const again = reopened(cluster, a);
    const one = again.fenced.adopt({ collection: "accounts", key: "x" });
    expect(await cluster.run(one)).toEqual({ adopted: 1, unchanged: 0 });
    expect(await cluster.run(again.accounts.read("x"))).toBe(5);
    expect(await cluster.run(rejection(again.username.readOwner("ada")))).toBeInstanceOf(
      StoreRolledBackError,
    );
    const wrong = again.fenced.adopt({ collection: "free" });
    expect(await cluster.run(rejection(wrong))).toBeInstanceOf(UsageError);
  });
});
