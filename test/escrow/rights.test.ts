/** What a service sees of bounded counters. */
import { describe, expect, test } from "vitest";
import { boundedCounter } from "../../src/crdt/bounded-counter.ts";
import {
  ClosedError,
  CounterRangeError,
  InsufficientError,
  InvalidValueError,
  OverloadedError,
  RightsUnavailableError,
  StoreRolledBackError,
  UsageError,
} from "../../src/errors.ts";
import { waitingMax } from "../../src/escalate/escrow/counters.ts";
import { Scene } from "./scene.ts";

describe("a decrement", () => {
  test("with rights here asks nobody, and is shown at once", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    await scene.until(shop.stock.decrement("k"));
    const { calls } = shop;
    expect(shop.stock.rights("k")).toBeGreaterThan(10);
    for (let i = 0; i < 10; i++) expect(shop.stock.tryDecrement("k")).toBe(true);
    await scene.until(shop.stock.at("k").decrement(2));
    expect(shop.calls).toBe(calls);
    expect(shop.stock.value("k")).toBe(60 - 13);
  });

  test("is refused for good only when so much is left nowhere, and says what is", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    const error = await scene.refusal(shop.stock.decrement("k", 61));
    expect(error).toBeInstanceOf(InsufficientError);
    expect(error).toMatchObject({ collection: "stock", key: "k", requested: 61, available: 60 });
    await scene.until(shop.stock.decrement("k", 60));
    expect(await scene.refusal(shop.stock.decrement("k"))).toMatchObject({ available: 0 });
    expect(shop.stock.value("k")).toBe(0);
  });

  test("tries in vain while there are no rights here, and that brings them", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    expect(shop.stock.tryDecrement("k")).toBe(false);
    await scene.settle(500);
    expect(shop.stock.tryDecrement("k")).toBe(true);
  });

  test("of a durable replica is tried out of what its disk counts as gone", async () => {
    const scene = new Scene();
    const shop = await scene.open("a", { disk: scene.disk(), machine: scene.machine });
    expect(shop.stock.tryDecrement("k")).toBe(false);
    await scene.settle(500);
    expect(shop.stock.tryDecrement("k")).toBe(true);
    expect(shop.escrow.status[0]).toMatchObject({
      key: "k",
      reserved: expect.any(Number) as number,
    });
    expect(shop.escrow.status[0]?.reserved).toBeGreaterThan(0);
  });

  test("that a disk refuses is told so, stays spent, and is shown to nobody before the disk has it", async () => {
    const scene = new Scene();
    const disk = scene.disk();
    const shop = await scene.open("a", { disk, machine: scene.machine });
    const other = await scene.open("b");
    await scene.until(shop.stock.decrement("k"));
    disk.isFull = true;
    expect(await scene.refusal(shop.stock.decrement("k", 2))).toMatchObject({
      name: "StorageError",
    });
    expect(shop.warnings.length).toBe(1);
    other.join(shop);
    expect(other.stock.value("k")).toBe(59);
    disk.isFull = false;
    await scene.settle(10_000);
    other.join(shop);
    expect(other.stock.value("k")).toBe(57);
    expect(await scene.sellOut(other, "k")).toBe(57);
  });

  test("leaves the line when it is aborted", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    scene.isAway = true;
    const abort = new AbortController();
    const refusal = scene.refusal(shop.stock.decrement("k", 1, { signal: abort.signal }));
    const reason = new Error("enough");
    abort.abort(reason);
    expect(await refusal).toBe(reason);
    expect(shop.escrow.status[0]?.waiting).toBe(0);
    expect(await scene.refusal(shop.stock.decrement("k", 1, { signal: abort.signal }))).toBe(
      reason,
    );
  });

  test("waits in a line that has an end", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    scene.isAway = true;
    const refusals = Array.from({ length: waitingMax + 1 }, () =>
      scene.refusal(shop.stock.decrement("k", 1, { waitMs: 100 })),
    );
    const told = await scene.until(Promise.all(refusals));
    expect(told.filter((error) => error instanceof OverloadedError).length).toBe(1);
    expect(told.filter((error) => error instanceof RightsUnavailableError).length).toBe(waitingMax);
  });

  test.each([0, -1, 1.5, Number.NaN, 2 ** 53])("by %d is refused", async (by) => {
    const shop = await new Scene().open("a");
    expect(() => shop.stock.decrement("k", by)).toThrow(InvalidValueError);
    expect(() => shop.stock.increment("k", by)).toThrow(InvalidValueError);
  });

  test("inside a transaction is refused, and so is every other change", async () => {
    const shop = await new Scene().open("a");
    const { keyspace, stock, seats } = shop;
    const changes = [
      () => stock.decrement("k"),
      () => stock.increment("k"),
      () => stock.tryDecrement("k"),
      () => seats.tryIncrement("k"),
      () => stock.at("k").decrement(),
    ];
    for (const change of changes) {
      const inside = (): void => {
        change();
      };
      expect(() => keyspace.transact(inside)).toThrow(UsageError);
    }
    expect(keyspace.transact(() => stock.value("k"))).toBe(60);
  });

  test("after the close is refused", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    await scene.until(shop.stock.decrement("k"));
    await scene.close(shop);
    expect(await scene.refusal(shop.stock.decrement("k"))).toBeInstanceOf(ClosedError);
    expect(() => shop.stock.decrement("other")).toThrow(ClosedError);
  });
});

describe("an increment", () => {
  test("is local, and what it creates beyond a chunk is there for others", async () => {
    const scene = new Scene();
    const [a, b] = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    a.stock.increment("k", 1_000);
    expect(a.stock.value("k")).toBe(1_060);
    await scene.settle(2_000);
    expect(a.stock.rights("k")).toBeLessThan(100);
    b.stock.increment("k", 500);
    scene.sync();
    expect(await scene.sellOut(b, "k")).toBe(1_560);
    scene.sync();
    expect(a.stock.value("k")).toBe(0);
  });

  test("without the store works, and what it creates is sold where there is a disk", async () => {
    const scene = new Scene();
    const shop = await scene.open("a", { disk: scene.disk() });
    scene.isAway = true;
    shop.stock.increment("k", 5);
    await scene.until(shop.stock.decrement("k", 5, { waitMs: 0 }));
    expect(await scene.refusal(shop.stock.decrement("k", 1, { waitMs: 300 }))).toBeInstanceOf(
      RightsUnavailableError,
    );
  });

  test("out of the safe integers is refused", async () => {
    const shop = await new Scene().open("a");
    shop.stock.increment("k", Number.MAX_SAFE_INTEGER - 60);
    expect(() => shop.stock.increment("k")).toThrow(CounterRangeError);
  });

  test("below an upper bound spends rights, and a decrement makes room", async () => {
    const scene = new Scene();
    const [a, b] = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    await scene.until(a.seats.increment("k", 15));
    expect(await scene.refusal(b.seats.increment("k"))).toBeInstanceOf(InsufficientError);
    await scene.until(b.seats.decrement("k", 40));
    await scene.settle(100);
    scene.sync();
    expect([a.seats.value("k"), b.seats.value("k")]).toEqual([0, 0]);
    expect(await scene.refusal(a.seats.decrement("k"))).toBeInstanceOf(InsufficientError);
    await scene.until(a.seats.increment("k", 40));
    await scene.settle(100);
    scene.sync();
    expect(b.seats.value("k")).toBe(40);
  });
});

describe("rights of others", () => {
  test.each([true, false])("come when they are asked for (linked: %s)", async (areLinked) => {
    const scene = new Scene();
    scene.areLinked = areLinked;
    const [a, b] = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    await scene.until(b.stock.decrement("k"));
    expect(b.stock.rights("k")).toBeGreaterThan(5);
    expect(await scene.sellOut(a, "k")).toBe(59);
    expect(await scene.refusal(a.stock.decrement("k"))).toBeInstanceOf(InsufficientError);
  });

  test("that are too few for either of two are enough for one of them", async () => {
    const scene = new Scene({ stock: boundedCounter({ min: 0, initial: 8 }) });
    const [a, b] = [await scene.open("a"), await scene.open("b")];
    await scene.until(a.stock.decrement("k"));
    await scene.until(b.stock.decrement("k"));
    const told = await scene.until(
      Promise.all([a, b].map((shop) => scene.refusal(shop.stock.decrement("k", 5)))),
    );
    expect(told.filter((error) => error === undefined).length).toBe(1);
    expect(told.filter((error) => error instanceof InsufficientError).length).toBe(1);
  });

  test("that a dead replica holds are not there, and are not called sold", async () => {
    const scene = new Scene();
    const [a, b] = [await scene.open("a"), await scene.open("b")];
    await scene.until(b.stock.decrement("k"));
    const lost = b.stock.rights("k");
    scene.kill(b);
    expect(await scene.sellOut(a, "k", 1_000)).toBe(59 - lost);
    const error = await scene.refusal(a.stock.decrement("k", 1, { waitMs: 0 }));
    expect(error).toBeInstanceOf(RightsUnavailableError);
    expect(error).toMatchObject({
      holders: [{ holder: expect.stringContaining("b (") as string, rights: lost + 1 }],
    });
  });

  test("are not waited for by who does not want to", async () => {
    const scene = new Scene();
    const [a, b] = [await scene.open("a"), await scene.open("b")];
    await scene.until(b.stock.decrement("k"));
    await scene.until(a.stock.decrement("k", 60 - 1 - b.stock.rights("k")));
    const before = scene.world.nowMs;
    const error = await scene.refusal(a.stock.decrement("k", 1, { waitMs: 0 }));
    expect(error).toBeInstanceOf(RightsUnavailableError);
    expect(scene.world.nowMs - before).toBeLessThan(100);
  });

  test("are not called sold while somebody shows a creation that the pool has not heard of", async () => {
    const scene = new Scene({ stock: boundedCounter({ min: 0 }) });
    const [a, b] = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    expect(await scene.refusal(a.stock.decrement("k"))).toBeInstanceOf(InsufficientError);
    b.stock.increment("k", 3);
    await scene.settle(100);
    a.join(b);
    scene.areLinked = false;
    const refused = scene.refusal(a.stock.decrement("k", 1, { waitMs: 0 }));
    expect(await refused).toBeInstanceOf(RightsUnavailableError);
    await scene.until(a.stock.decrement("k"));
  });

  test("of a thousand callers that run out together are asked for once", async () => {
    const scene = new Scene({ stock: boundedCounter({ min: 0, initial: 700 }) });
    const shop = await scene.open("a");
    const told = await scene.until(
      Promise.all(Array.from({ length: 1_000 }, () => scene.refusal(shop.stock.decrement("k")))),
    );
    expect(told.filter((error) => error === undefined).length).toBe(700);
    expect(told.filter((error) => error instanceof InsufficientError).length).toBe(300);
    expect(shop.updatesAsked).toBeLessThanOrEqual(3);
  });
});

describe("the store", () => {
  test("is not needed while rights last; then it is said, and it recovers by itself", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    await scene.until(shop.stock.decrement("k"));
    scene.isAway = true;
    const rights = shop.stock.rights("k");
    for (let i = 0; i < rights; i++) await scene.until(shop.stock.decrement("k"));
    const error = await scene.refusal(shop.stock.decrement("k", 1, { waitMs: 1_000 }));
    expect(error).toBeInstanceOf(RightsUnavailableError);
    expect(error).toMatchObject({ cause: { name: "LockUnavailableError" } });
    scene.isAway = false;
    await scene.settle(10_000);
    expect(await scene.sellOut(shop, "k")).toBe(59 - rights);
  });

  test("that was wiped is refused, and no right of before is spent", async () => {
    const scene = new Scene();
    const [a, b] = [await scene.open("a"), await scene.open("b")];
    await scene.until(a.stock.decrement("k"));
    await scene.settle(100);
    b.join(a);
    scene.table.wipe();
    expect(await scene.refusal(a.stock.decrement("k", 50))).toBeInstanceOf(StoreRolledBackError);
    expect(await scene.refusal(a.stock.decrement("k"))).toBeInstanceOf(StoreRolledBackError);
    expect(() => a.stock.tryDecrement("k")).toThrow(StoreRolledBackError);
    // One that was never there, too: what peers show says that there was a pool.
    expect(await scene.refusal(b.stock.decrement("k"))).toBeInstanceOf(StoreRolledBackError);
    expect(a.warnings.length).toBe(1);
  });

  test("with a pool of other bounds is refused", async () => {
    const scene = new Scene();
    await scene.until((await scene.open("a")).stock.decrement("k"));
    const other = new Scene({ stock: boundedCounter({ min: 0, initial: 61 }) });
    Object.assign(other, { table: scene.table });
    const shop = await other.open("b");
    expect(await other.refusal(shop.stock.decrement("k"))).toBeInstanceOf(UsageError);
  });
});

test("collections whose names and keys have slashes do not meet", async () => {
  const scene = new Scene();
  const shop = await scene.open("a");
  await scene.until(shop.stock.decrement("k/l"));
  expect(await scene.sellOut(shop, "k")).toBe(60);
  expect(await scene.sellOut(shop, "k/l")).toBe(59);
  expect(shop.stock.keys()).toEqual(["k", "k/l"]);
  expect([shop.stock.size(), shop.stock.has("k"), shop.stock.has("x")]).toEqual([2, true, false]);
});
