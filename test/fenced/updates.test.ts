/** One fenced value: written through its guard, read from a copy. */
import { describe, expect, test } from "vitest";
import {
  ClosedError,
  InvalidValueError,
  LockTimeoutError,
  LockUnavailableError,
  UnknownOutcomeError,
  UsageError,
  WaitTimeoutError,
} from "../../src/errors.ts";
import { rejection } from "../locks/trial.ts";
import { epochMs } from "../simulation/virtual-environment.ts";
import { Cluster, type Coupon, join, joinAll } from "./scene.ts";

const add =
  (by: number) =>
  (current: number | undefined): number =>
    (current ?? 0) + by;

describe("an update", () => {
  test("resolves with what it wrote, which is read everywhere and copied to whoever is told", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    expect(await cluster.run(a.accounts.update("x", add(5)))).toBe(5);
    expect([a.accounts.get("x"), b.accounts.get("x")]).toEqual([5, undefined]);
    expect(await cluster.run(b.accounts.read("x"))).toBe(5);
    expect(b.accounts.get("x")).toBe(5);
    expect(await cluster.run(b.accounts.update("x", add(2)))).toBe(7);
    expect(a.accounts.get("x")).toBe(5);
    join(a, b);
    expect(a.accounts.get("x")).toBe(7);
    expect([a.accounts.has("x"), a.accounts.has("y"), a.accounts.size()]).toEqual([true, false, 1]);
  });

  test("of nothing is `undefined` to its function, and what it returns is copied and frozen", async () => {
    const cluster = new Cluster();
    const { notes } = cluster.site();
    const seen: unknown[] = [];
    const given = { list: [1] };
    const written = await cluster.run(
      notes.update("n", (current, { operationId }) => {
        seen.push(current, operationId.length);
        return given;
      }),
    );
    given.list.push(2);
    expect(seen).toEqual([undefined, 32]);
    expect([written, notes.get("n")]).toEqual([{ list: [1] }, { list: [1] }]);
    expect(Object.isFrozen(notes.get("n"))).toBe(true);
    await cluster.run(
      notes.update("n", (current) => {
        expect(Object.isFrozen(current)).toBe(true);
        return current;
      }),
    );
  });

  test("may wait in its function, and runs again on what is there when it was overtaken", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const seen: (number | undefined)[] = [];
    await cluster.run(b.accounts.update("x", () => 1));
    const slow = a.accounts.update("x", async (current) => {
      seen.push(current);
      if (seen.length === 1) await b.accounts.update("x", () => 10);
      return (current ?? 0) + 1;
    });
    expect(await cluster.run(slow)).toBe(11);
    expect(seen).toEqual([1, 10]);
  });

  test("whose function never ends is given up, and those beside it go on", async () => {
    const cluster = new Cluster();
    const { accounts } = cluster.site();
    const stuck = rejection(accounts.update("x", () => new Promise<number>(() => undefined)));
    const beside = accounts.update("x", add(1));
    expect(await cluster.run(stuck)).toBeInstanceOf(WaitTimeoutError);
    expect(await cluster.run(beside)).toBe(1);
    expect(await cluster.world.settle({})).toBe("idle");
  });

  test("that throws, or gives what is no value, writes nothing", async () => {
    const cluster = new Cluster();
    const { notes } = cluster.site();
    await cluster.run(notes.update("n", () => "kept"));
    const broken = notes.update("n", () => {
      throw new RangeError("no");
    });
    expect(await cluster.run(rejection(broken))).toBeInstanceOf(RangeError);
    let deep: unknown = 1;
    for (let i = 0; i < 65; i++) deep = [deep];
    for (const bad of [() => 1, Number.NaN, 1n, new Date(0), deep, "x".repeat(2 ** 20)]) {
      const error = await cluster.run(rejection(notes.update("n", () => bad)));
      expect(error).toBeInstanceOf(InvalidValueError);
    }
    expect(await cluster.run(notes.read("n"))).toBe("kept");
    expect(notes.peek("n").version).toBe(1);
    const key = notes.update("\ud800", () => 1);
    expect(await cluster.run(rejection(key))).toBeInstanceOf(InvalidValueError);
  });

  test("holds the largest and the deepest value that there may be, and so do copies", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    let deep: unknown = 1;
    for (let i = 0; i < 64; i++) deep = [deep];
    const large = { text: "x".repeat(2 ** 20 - 11) };
    await cluster.run(a.notes.update("deep", () => deep));
    await cluster.run(a.notes.update("large", () => large));
    join(b, a);
    expect([b.notes.get("deep"), b.notes.get("large")]).toEqual([deep, large]);
    expect(await cluster.run(b.notes.read("large"))).toEqual(large);
  });

  test("to `undefined` deletes, and what was deleted does not come back with a late copy", async () => {
    const cluster = new Cluster();
    const [a, b, c] = [cluster.site(), cluster.site(), cluster.site()];
    await cluster.run(a.accounts.update("x", () => 1));
    join(b, a);
    await cluster.run(b.accounts.delete("x"));
    expect([b.accounts.get("x"), b.accounts.has("x"), b.accounts.keys()]).toEqual([
      undefined,
      false,
      [],
    ]);
    // The deletion comes first, then the value: from one who never saw the other.
    join(c, b);
    join(c, a);
    join(b, a);
    for (const { accounts } of [b, c]) {
      expect([accounts.get("x"), accounts.size(), accounts.peek("x").version]).toEqual([
        undefined,
        0,
        2,
      ]);
    }
    expect(await cluster.run(c.accounts.update("x", add(3)))).toBe(3);
    joinAll(cluster.sites);
    expect(cluster.sites.map(({ accounts }) => accounts.get("x"))).toEqual([3, 3, 3]);
  });

  test("of what is not there to nothing writes nothing", async () => {
    const cluster = new Cluster();
    const { accounts } = cluster.site();
    await cluster.run(accounts.delete("x"));
    expect(accounts.peek("x").version).toBe(0);
    expect(
      await cluster.table.read({ birth: undefined, resource: "trellis/value/accounts/x" }),
    ).toMatchObject({ present: { version: 0n } });
  });

  test("of a thousand callers is a few writes, and one copy each", async () => {
    const cluster = new Cluster();
    const { accounts, way, keyspace } = cluster.site();
    let flushes = 0;
    keyspace.listeners.add({ flushed: () => void flushes++, joined: () => undefined });
    const all = Array.from({ length: 1_000 }, () => accounts.update("x", add(1)));
    const results = await cluster.run(Promise.all(all));
    expect(new Set(results).size).toBe(1_000);
    expect(accounts.get("x")).toBe(1_000);
    expect(way.requests).toBeLessThan(6);
    expect(flushes).toBeLessThan(3);
  });
});

test("what is no function, no time and no window is refused at once", async () => {
  const cluster = new Cluster();
  const { accounts, fenced, keyspace, way } = cluster.site();
  for (const waitMs of [Number.NaN, -1, Infinity, "5" as never]) {
    const calls = [
      accounts.update("x", () => 1, { waitMs }),
      accounts.read("x", { waitMs }),
      fenced.escalate([accounts.at("x")], () => 1, { waitMs }),
    ];
    for (const call of calls) expect(await rejection(call)).toBeInstanceOf(InvalidValueError);
  }
  expect(await rejection(accounts.update("x", 7 as never))).toBeInstanceOf(UsageError);
  const section = fenced.escalate([accounts.at("x")], 7 as never);
  expect(await rejection(section)).toBeInstanceOf(UsageError);
  expect(way.requests).toBe(0);
  const root = keyspace.nodes.root("accounts");
  if (!root) throw new Error("no accounts");
  for (const idempotencyWindowMs of [0, Number.NaN, Infinity]) {
    expect(() => fenced.open(root, "value", { idempotencyWindowMs })).toThrow(UsageError);
  }
});

describe("a copy", () => {
  test("says how old it may be: since the guard was asked here, or since it was published", async () => {
    const cluster = new Cluster();
    const { world } = cluster;
    const [a, b] = [cluster.site(), cluster.site()];
    expect(a.accounts.peek("x")).toEqual({ value: undefined, version: 0, asOfMs: 0 });
    await world.settle({ forMs: 1_000 });
    await cluster.run(a.accounts.update("x", add(1)));
    const first = a.accounts.peek("x");
    expect(first).toMatchObject({ value: 1, version: 1 });
    expect(first.asOfMs - epochMs).toBeGreaterThanOrEqual(1_000);
    expect(first.asOfMs).toBeLessThanOrEqual(epochMs + world.nowMs);
    await world.settle({ forMs: 5_000 });
    join(b, a);
    // Not when it came: when it was published.
    expect(b.accounts.peek("x").asOfMs).toBeLessThan(epochMs + 1_100);
    const askedMs = epochMs + world.nowMs;
    await cluster.run(b.accounts.read("x"));
    expect(b.accounts.peek("x").asOfMs).toBeGreaterThanOrEqual(askedMs);
    await cluster.run(a.accounts.update("x", add(1)));
    join(b, a);
    expect(b.accounts.peek("x")).toMatchObject({ value: 2, version: 2 });
  });

  test("that is published late loses to the newer one, on whatever way each comes", async () => {
    const cluster = new Cluster();
    const [a, b, c] = [cluster.site(), cluster.site(), cluster.site()];
    await cluster.run(a.accounts.update("x", () => 1));
    await cluster.run(b.accounts.update("x", () => 2));
    // A has not heard of B's write, nor C of either: whoever publishes what it read is late or early.
    const old = a.accounts.peek("x");
    expect(old.version).toBe(1);
    await cluster.run(c.accounts.read("x"));
    join(a, c);
    expect(a.accounts.get("x")).toBe(2);
    join(c, a);
    join(b, a);
    joinAll(cluster.sites);
    expect(cluster.sites.map(({ accounts }) => accounts.peek("x").version)).toEqual([2, 2, 2]);
  });

  test("that a peer made up is passed over, and a foreign payload is no value", async () => {
    const cluster = new Cluster();
    const [a, liar] = [cluster.site(), cluster.site()];
    const root = liar.keyspace.nodes.root("notes");
    if (!root) throw new Error("no notes");
    const payloads = [
      7,
      "text",
      [],
      [1],
      [1, "2"],
      [0, 5, "x"],
      [1, 2, 3, 4],
      [1.5, 2, "x"],
      [1, -1],
    ];
    for (const [i, payload] of payloads.entries()) {
      liar.keyspace.assign(liar.keyspace.key(root, `k${i}`), payload);
    }
    join(a, liar);
    expect([a.notes.keys(), a.notes.size(), a.notes.get("k0")]).toEqual([[], 0, undefined]);
    expect(await cluster.run(a.notes.update("k0", () => "mine"))).toBe("mine");
    expect(a.notes.get("k0")).toBe("mine");
  });

  test("is listed by prefix, after a key, up to a limit, and without what was deleted", async () => {
    const cluster = new Cluster();
    const { accounts } = cluster.site();
    for (const key of ["b2", "a1", "b1", "b3", "c"]) {
      await cluster.run(accounts.update(key, () => 1));
    }
    await cluster.run(accounts.delete("b2"));
    expect(accounts.keys({ prefix: "b" })).toEqual(["b1", "b3"]);
    expect(accounts.keys({ after: "a1", limit: 2 })).toEqual(["b1", "b3"]);
    expect(() => accounts.keys({ limit: -1 })).toThrow(InvalidValueError);
  });
});

describe("a fenced value", () => {
  test("redeemed at A is refused at B, which is cut off from A but not from the guard", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const redeem =
      (by: string) =>
      (current: Coupon | undefined): Coupon => {
        if (current?.redeemedBy !== undefined)
          throw new RangeError(`taken by ${current.redeemedBy}`);
        return { redeemedBy: by, uses: 1 };
      };
    await cluster.run(a.coupon.update("SPRING", () => ({ uses: 0 })));
    join(b, a);
    await cluster.run(a.coupon.update("SPRING", redeem("ada")));
    expect(b.coupon.get("SPRING")).toEqual({ uses: 0 });
    const late = await cluster.run(rejection(b.coupon.update("SPRING", redeem("bob"))));
    expect(late.message).toBe("taken by ada");
    // And it has learned of it.
    expect(b.coupon.get("SPRING")?.redeemedBy).toBe("ada");
  });

  test("takes no part in a transaction, which is undone", async () => {
    const cluster = new Cluster();
    const site = cluster.site();
    const { keyspace, accounts, username, fenced } = site;
    const root = keyspace.nodes.root("free");
    if (!root) throw new Error("no free");
    const calls = [
      () => accounts.update("x", () => 1),
      () => accounts.at("x").delete(),
      () => accounts.delete("x"),
      () => accounts.read("x"),
      () => username.claim("ada", "u:7"),
      () => username.release("ada", "u:7"),
      () => username.readOwner("ada"),
      () => fenced.escalate([accounts.at("x")], () => undefined),
    ];
    for (const call of calls) {
      const transaction = (): void =>
        keyspace.transact(() => {
          keyspace.assign(keyspace.key(root, "k"), "written");
          void call();
        });
      expect(transaction).toThrow(UsageError);
    }
    expect(root.live).toBe(0);
    expect(keyspace.transact(() => accounts.get("x"))).toBeUndefined();
  });

  test("of a closed replica is refused, and a commit that comes after is in the guard all the same", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    await cluster.run(a.accounts.update("x", () => 1));
    const last = a.accounts.update("x", () => 2);
    await cluster.world.settle({ forMs: 1 });
    a.keyspace.close();
    expect(await cluster.run(last)).toBe(2);
    expect(await rejection(a.accounts.update("x", () => 3))).toBeInstanceOf(ClosedError);
    expect(await cluster.run(b.accounts.read("x"))).toBe(2);
  });

  test("waits for a held guard as long as it may, once at least, and leaves nothing when it is aborted", async () => {
    const cluster = new Cluster();
    const { accounts, watch } = cluster.site();
    expect(await cluster.run(accounts.update("x", () => 1, { waitMs: 0 }))).toBe(1);
    const resource = "value/accounts/x";
    const lease = await cluster.run(
      cluster.site().watch.acquire(resource, { ttlMs: 60_000, waitMs: 0 }),
    );
    const startMs = cluster.world.nowMs;
    const none = accounts.update("x", () => 2, { waitMs: 0 });
    expect(await cluster.run(rejection(none))).toBeInstanceOf(LockTimeoutError);
    expect(cluster.world.nowMs - startMs).toBeLessThan(200);
    const late = accounts.update("x", () => 2, { waitMs: 500 });
    expect(await cluster.run(rejection(late))).toBeInstanceOf(LockTimeoutError);
    const leaving = new AbortController();
    const left = rejection(accounts.update("x", () => 2, { signal: leaving.signal }));
    await cluster.world.settle({ forMs: 100 });
    leaving.abort(new Error("left"));
    expect((await cluster.run(left)).message).toBe("left");
    await cluster.run(lease.release());
    expect(await cluster.run(accounts.update("x", (current) => (current ?? 0) + 1))).toBe(2);
    expect((await cluster.run(watch.read(resource)))?.version).toBe(2n);
    // Nobody waits any more: nothing is due.
    expect(await cluster.world.settle({})).toBe("idle");
  });

  test("is refused fast while the backend is away, and comes back by itself", async () => {
    const cluster = new Cluster();
    const { accounts, way, resilient } = cluster.site();
    await cluster.run(accounts.update("x", () => 1));
    way.fault = "hang";
    const waits = [accounts.read("x", { waitMs: 1_000 }), accounts.update("y", () => 1)];
    for (const error of await cluster.run(Promise.all(waits.map(rejection)))) {
      expect(error).toBeInstanceOf(LockUnavailableError);
    }
    for (let i = 0; resilient.status.calls === "closed" && i < 10; i++) {
      await cluster.run(rejection(accounts.read(`k${i}`, { waitMs: 0 })));
    }
    const startMs = cluster.world.nowMs;
    const fast = await cluster.run(rejection(accounts.update("y", () => 1)));
    expect(fast).toBeInstanceOf(LockUnavailableError);
    expect(cluster.world.nowMs - startMs).toBeLessThan(5);
    expect(accounts.get("x")).toBe(1);
    way.fault = "none";
    await cluster.world.settle({ forMs: 60_000 });
    expect(await cluster.run(accounts.update("x", (current) => (current ?? 0) + 1))).toBe(2);
  });

  test("is waited for while the backend is away for a moment", async () => {
    const cluster = new Cluster();
    const { accounts, way } = cluster.site();
    way.fault = "hang";
    const update = accounts.update("x", () => 1, { waitMs: 5_000 });
    await cluster.world.settle({ forMs: 250 });
    way.fault = "none";
    expect(await cluster.run(update)).toBe(1);
  });

  test("tells an unknown outcome without a key as unknown", async () => {
    const cluster = new Cluster();
    const { accounts, way } = cluster.site();
    await cluster.run(accounts.update("x", () => 1));
    way.fault = "lose-replies";
    const unknown = rejection(accounts.update("x", (current) => (current ?? 0) + 1));
    expect(await cluster.run(unknown)).toBeInstanceOf(UnknownOutcomeError);
    way.fault = "none";
    expect(await cluster.run(accounts.read("x"))).toBe(2);
  });
});
