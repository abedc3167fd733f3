/** What is kept for those who look: it is right, it is bounded, and nobody pays for it who is not looked at. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { systemEnvironment } from "../../src/environment.ts";
import { LockTimeoutError } from "../../src/errors.ts";
import { yDoc } from "../../src/bridge/yjs.ts";
import {
  boundedCounter,
  counter,
  fencedRegister,
  flag,
  openReplica,
  orSet,
} from "../../src/index.ts";
import { until } from "../../src/cli/servers/until.ts";
import { countersMax, halfLifeMs, HotKeys } from "../../src/insight/hot-keys.ts";
import { eventsMax, RecentEvents } from "../../src/insight/recent-events.ts";
import { cut, nameCharactersMax, type Snapshot } from "../../src/insight/snapshot.ts";
import { snapshotOf } from "../../src/insight/snapshot-of.ts";

/** How often each key was touched, in truth. */
const counts = (touches: readonly string[]): ReadonlyMap<string, number> => {
  const all = new Map<string, number>();
  for (const key of touches) all.set(key, (all.get(key) ?? 0) + 1);
  return all;
};

describe("hot keys", () => {
  const keys = fc.integer({ min: 0, max: 40 }).map((rank) => `k${rank ** 2 % 23}`);

  test("no count is too small, none is too high by more than its error, and who is hot is in", () => {
    fc.assert(
      fc.property(fc.array(keys, { maxLength: 400 }), (touches) => {
        const sketch = new HotKeys(0, 8);
        for (const key of touches) sketch.touched(key, "local");
        const truth = counts(touches);
        const top = sketch.top(8, 0);
        for (const { key, touches: said, error } of top) {
          const real = truth.get(key) ?? 0;
          expect(said).toBeGreaterThanOrEqual(real);
          expect(said - error).toBeLessThanOrEqual(real);
        }
        const names = new Set(top.map(({ key }) => key));
        const hot = [...truth].filter(([, real]) => real > touches.length / 8);
        for (const [key] of hot) expect(names).toContain(key);
      }),
    );
  });

  test("are so many at most, whatever comes", () => {
    const sketch = new HotKeys(0);
    for (let i = 0; i < 100_000; i++) sketch.touched(`key:${i}`, "remote");
    expect(sketch.top(1_000, 0)).toHaveLength(countersMax);
  });

  test("cool down, and are forgotten", () => {
    const sketch = new HotKeys(0);
    sketch.touched("a", "local", 100);
    expect(sketch.top(1, halfLifeMs)[0]).toMatchObject({ touches: 50, localShare: 1 });
    expect(sketch.top(1, 100 * halfLifeMs)).toEqual([]);
  });
});

describe("recent events", () => {
  test("what happens again is one event, and a storm drives nothing else out", () => {
    const recent = new RecentEvents(systemEnvironment);
    const told = { kind: "warning", severity: "error", subject: "" } as const;
    recent.happened({ ...told, code: "forked", text: "once" });
    for (let i = 0; i < 10_000; i++) {
      recent.happened({ ...told, kind: "conflict", code: "conflict", text: `the ${i}th` });
    }
    expect(recent.events.map(({ code, times }) => [code, times])).toEqual([
      ["conflict", 10_000],
      ["forked", 1],
    ]);
    expect(recent.events[0]?.text).toBe("the 9999th");
  });

  test("are bounded, the latest first", () => {
    const recent = new RecentEvents(systemEnvironment);
    for (let i = 0; i < 1_000; i++) {
      recent.happened({
        ...{ kind: "link", severity: "warning", code: `c${i}`, subject: `s${i}`, text: "" },
      });
    }
    expect(recent.events).toHaveLength(eventsMax);
    expect(recent.events[0]?.code).toBe("c999");
    expect(recent.codes.length).toBeLessThanOrEqual(64);
  });
});

test("names are cut between characters", () => {
  expect(cut("a".repeat(64))).toBe("a".repeat(64));
  expect(cut("😀".repeat(64))).toBe("😀".repeat(64));
  expect(cut("😀".repeat(65))).toBe(`${"😀".repeat(64)}…`);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), (text) => {
      expect(Array.from(cut(text)).length).toBeLessThanOrEqual(nameCharactersMax + 1);
      expect(cut(text).isWellFormed()).toBe(text.isWellFormed());
    }),
  );
});

const schema = {
  likes: counter(),
  carts: orSet(),
  stock: boundedCounter({ min: 0, initial: 100, weakFence: true }),
  coupon: fencedRegister({ weakFence: true }),
};

const look = (replica: Parameters<typeof snapshotOf>[0]): Snapshot =>
  snapshotOf(replica, { ...systemEnvironment, now: () => Infinity }, []);

describe("a snapshot", () => {
  test("calls collections what people call their types", async () => {
    await using shop = await openReplica({
      schema: { notes: yDoc(), visits: flag({ expireAfterMs: 1_000 }), likes: counter() },
    });
    shop.collections.notes.change("a", (doc) => doc.getText("t").insert(0, "x"));
    shop.collections.notes.change("b", (doc) => doc.getText("t").insert(0, "x"));
    shop.collections.likes.increment("a");
    expect(look(shop).collections.map(({ name, type, keys }) => [name, type, keys])).toEqual([
      ["notes", "document", 2],
      ["likes", "counter", 1],
      ["visits", "flag", 0],
    ]);
  });

  test("counts changes by key only while somebody looks, local and remote", async () => {
    await using shop = await openReplica({ schema, name: "a", listen: { port: 0 } });
    const peer = `ws://127.0.0.1:${shop.address?.port}`;
    await using other = await openReplica({ schema, name: "b", peers: [peer] });
    await other.synced();
    for (let i = 0; i < 50; i++) shop.collections.likes.increment("before");
    await other.waitFor(shop.version());
    expect(shop.activity.isLookedAt).toBe(false);
    const stop = shop.activity.look();
    for (let i = 0; i < 30; i++) {
      shop.collections.carts.add("cart:1", `sku-${i}`);
      shop.version();
    }
    other.collections.carts.add("cart:1", "one more");
    await shop.waitFor(other.version());
    expect(look(shop).hotKeys).toMatchObject([{ collection: "carts", key: "cart:1", touches: 31 }]);
    expect(look(shop).hotKeys[0]?.localShare).toBeCloseTo(30 / 31);
    expect(look(shop).totals.changes).toEqual({ local: 30, remote: 1 });
    stop();
    stop();
    expect(shop.activity.isLookedAt).toBe(false);
    expect(look(shop).hotKeys).toEqual([]);
  });

  test("says about how much memory a collection takes, without a walk at every look", async () => {
    await using shop = await openReplica({ schema });
    for (let i = 0; i < 100; i++) shop.collections.carts.add(`cart:${i}`, "x".repeat(1_000));
    const weight = (): number => {
      return look(shop).collections.find(({ name }) => name === "carts")?.bytes ?? 0;
    };
    expect(weight()).toBeGreaterThan(100_000);
    const before = weight();
    expect(before).toBeLessThan(300_000);
    shop.collections.carts.add("more", "x".repeat(10_000));
    expect(weight()).toBe(before);
  });

  test("tells the waits, holds and losses of locks, and who was refused", async () => {
    await using shop = await openReplica({ schema });
    let leave = (): void => undefined;
    const holding = shop.locks.withLock("report", () => {
      return new Promise<void>((resolve) => {
        leave = resolve;
      });
    });
    await until("it is held", 5_000, () => look(shop).totals.locks.held === 1);
    const late = shop.locks.withLock("report", () => undefined, { waitMs: 20 });
    await until("one waits", 5_000, () => look(shop).locks[0]?.waiting === 1);
    expect(look(shop).locks).toMatchObject([{ resource: "lock/report", granted: 1 }]);
    expect(look(shop).locks[0]?.heldMs).toBeGreaterThan(0);
    await expect(late).rejects.toThrow(LockTimeoutError);
    leave();
    await holding;
    const { locks, totals, errors, events } = look(shop);
    expect(locks).toMatchObject([{ granted: 1, timeouts: 1, losses: 0, waiting: 0 }]);
    expect(locks[0]?.heldMs).toBeUndefined();
    expect(totals.locks).toMatchObject({ granted: 1, released: 1, held: 0, waiting: 0 });
    expect(totals.locks.holdMs).toBeGreaterThan(15);
    expect(errors).toMatchObject([{ code: "TRELLIS_LOCK_TIMEOUT", times: 1 }]);
    expect(events[0]).toMatchObject({ kind: "lock", subject: "lock/report" });
  });

  test("knows the rights of all holders, and which values are contended", async () => {
    await using shop = await openReplica({ schema, name: "a" });
    await shop.collections.stock.decrement("sku", 1);
    const [pool] = look(shop).pools;
    expect(pool).toMatchObject({ collection: "stock", key: "sku", holders: [{ isOurs: true }] });
    const given = pool?.holders.reduce((sum, { down }) => sum + down, pool.free.down);
    expect(given).toBeGreaterThanOrEqual(99);
    expect(look(shop).hotSpots).toEqual([]);
    const slow = shop.collections.coupon.update("S", async () => {
      await new Promise((done) => setTimeout(done, 100));
      return "late";
    });
    await until("it is in line", 5_000, () => look(shop).hotSpots.length > 0);
    expect(look(shop).hotSpots).toMatchObject([{ resource: "value/coupon/S", queued: 1 }]);
    await slow;
  });

  test("shows whom it misses until it is back, and not who said goodbye", async () => {
    await using shop = await openReplica({ schema, name: "a", listen: { port: 0 } });
    const url = `ws://127.0.0.1:${shop.address?.port}`;
    const states = (): unknown[] => look(shop).peers.map(({ name, state }) => [name, state]);
    {
      await using other = await openReplica({ schema, name: "b", peers: [url] });
      await other.synced();
      await until("it streams", 5_000, () => look(shop).peers[0]?.state === "streaming");
      expect(look(shop).peers[0]?.clockOffsetMs).toBeTypeOf("number");
    }
    await until("it has left", 5_000, () => look(shop).peers.length === 0);
    expect(states()).toEqual([]);
    expect(look(shop).events.map(({ code, subject }) => [code, subject])).toEqual([
      ["leaving", "b"],
      ["linked", "b"],
    ]);
  });
});
