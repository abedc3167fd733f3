/** What becomes of rights when a replica closes, is killed, and its directory is copied, set back or opened again. */
import { describe, expect, test } from "vitest";
import { boundedCounter } from "../../src/crdt/bounded-counter.ts";
import { ClosedError, RightsUnavailableError } from "../../src/errors.ts";
import { closedMax, freeOf } from "../../src/escalate/escrow/pool.ts";
import { decodePool } from "../../src/escalate/escrow/pool-codec.ts";
import { readPool, reclaim, riskOfReclaiming } from "../../src/escalate/escrow/reclaim.ts";
import { Machine } from "../witness/machine.ts";
import { Scene } from "./scene.ts";
import type { Shop } from "./simulation/shop.ts";

const named = { collection: "stock", key: "k" };

/** The states of what earlier openings have left. */
const left = (shop: Shop): string[] =>
  shop.escrow.status.flatMap(({ holders }) => holders.map(({ state }) => state));

async function poolOf({ table }: Scene) {
  const reply = await table.read({ birth: undefined, resource: "pool/stock/k" });
  if (reply.kind !== "present" || !reply.present.value) throw new Error("there is no pool");
  return decodePool(reply.present.value, "pool/stock/k");
}

describe("a clean close", () => {
  test.each([true, false])(
    "gives all back, and leaves nothing (durable: %s)",
    async (isDurable) => {
      const scene = new Scene();
      const home = isDurable ? { disk: scene.disk(), machine: scene.machine } : undefined;
      const shop = await scene.open("a", home);
      await scene.until(shop.stock.decrement("k", 3));
      await scene.close(shop);
      const pool = await poolOf(scene);
      expect([freeOf(pool, "down"), pool.entries.size, pool.closed.size]).toEqual([57, 0, 1]);
      const next = await scene.open("b", home);
      expect(left(next)).toEqual([]);
      expect(await scene.sellOut(next, "k")).toBe(57);
    },
  );

  test("without the store gives all back when the directory is opened again", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk() };
    const shop = await scene.open("a", home);
    await scene.until(shop.stock.decrement("k", 3));
    scene.isAway = true;
    await scene.close(shop);
    scene.isAway = false;
    const next = await scene.open("b", home);
    await scene.settle(10_000);
    expect(left(next)).toEqual([]);
    expect(await scene.sellOut(next, "k")).toBe(57);
  });

  test("refuses who waits, and ends in time", async () => {
    const scene = new Scene();
    const shop = await scene.open("a");
    scene.isAway = true;
    const refusal = scene.refusal(shop.stock.decrement("k"));
    await scene.close(shop);
    expect(await refusal).toBeInstanceOf(ClosedError);
    expect(scene.world.nowMs).toBeLessThan(20_000);
  });
});

describe("a replica that is killed", () => {
  test("before it heard what it was granted first has that returned when it is opened again", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk(), machine: scene.machine };
    const shop = await scene.open("a", home);
    shop.stock.decrement("k").catch(() => undefined);
    const granted = async (): Promise<number> => {
      const pool = await poolOf(scene).catch(() => undefined);
      return [...(pool?.entries.values() ?? [])].reduce((sum, { down }) => sum + down.granted, 0);
    };
    for (let ms = 0; (await granted()) === 0 && ms < 1_000; ms++) await scene.settle(1);
    expect(await granted()).toBeGreaterThan(0);
    scene.kill(shop);
    const next = await scene.open("a", home);
    await scene.settle(5_000);
    expect(left(next)).toEqual([]);
    // The one that it sold may be on the disk.
    expect(await scene.sellOut(next, "k")).toBeGreaterThanOrEqual(59);
  });

  test("and opened again in its place has its rights returned, but for what it may have sold", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk(), machine: scene.machine };
    const shop = await scene.open("a", home);
    await scene.until(shop.stock.decrement("k"));
    shop.stock.tryDecrement("k");
    await scene.settle(500);
    // Told at once; the disk hears of it with the next write, which does not come any more.
    expect(shop.stock.tryDecrement("k")).toBe(true);
    const { reserved = 0 } = shop.escrow.status[0] ?? {};
    scene.kill(shop);
    const next = await scene.open("a", home);
    await scene.settle(5_000);
    expect(left(next)).toEqual([]);
    const sold = await scene.sellOut(next, "k", 0);
    const { holders = [] } = (await scene.until(readPool(next.updates, named))) ?? {};
    const stranded = holders.filter(({ state }) => state === "stranded");
    // Its block is told to nobody: of it one was sold.
    expect(stranded.map(({ rights }) => rights)).toEqual([reserved + 1]);
    expect(sold + reserved + 1).toBe(59);
    expect(await scene.refusal(next.stock.decrement("k"))).toBeInstanceOf(RightsUnavailableError);
  });

  test("while nobody answers for its directory has its rights held, until somebody does", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk() };
    const shop = await scene.open("a", home);
    await scene.until(shop.stock.decrement("k"));
    const rights = shop.stock.rights("k");
    scene.kill(shop);
    const next = await scene.open("a", home);
    expect(left(next)).toEqual(["held"]);
    expect(next.warnings.join()).toContain("storage.exclusive");
    expect(await scene.sellOut(next, "k", 0)).toBe(59 - rights);
    scene.kill(next);
    // Also the witness of a later opening does not answer for it.
    const again = await scene.open("a", { ...home, machine: scene.machine });
    expect(left(again)).toEqual(["held", "held"]);
    await scene.close(again);
    const owned = await scene.open("a", { ...home, isExclusive: true });
    await scene.settle(5_000);
    expect(left(owned)).toEqual([]);
    expect(await scene.sellOut(owned, "k")).toBe(rights);
  });

  test("is believed by no machine that was started anew", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk(), machine: scene.machine };
    const shop = await scene.open("a", home);
    await scene.until(shop.stock.decrement("k"));
    scene.kill(shop);
    scene.machine.reboot();
    expect(left(await scene.open("a", home))).toEqual(["held"]);
  });

  test("shows its sales to peers again, from its disk, under another actor", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk() };
    const [shop, other] = [await scene.open("a", home), await scene.open("b")];
    await scene.until(shop.stock.decrement("k", 7));
    scene.kill(shop);
    const next = await scene.open("a", home);
    other.join(next);
    other.join(next);
    expect(other.stock.value("k")).toBe(53);
  });
});

test("who dies in line for a pool keeps others out for a moment only", async () => {
  const scene = new Scene();
  const shop = await scene.open("a", { disk: scene.disk(), machine: scene.machine });
  const ttls: (number | undefined)[] = [];
  const update = shop.updates.update.bind(shop.updates);
  shop.updates.update = (resource, change, options) => {
    ttls.push(options?.ttlMs);
    return update(resource, change, options);
  };
  await scene.until(shop.stock.decrement("k", 1));
  await scene.until(shop.stock.decrement("k", 1, { idempotencyKey: "once" }));
  await scene.close(shop);
  expect(ttls.length).toBeGreaterThan(2);
  expect(ttls.filter((ttlMs = Infinity) => ttlMs > 2_000)).toEqual([]);
});

describe("a directory that was copied while its replica ran", () => {
  test.each([true, false])("has no rights of it (on the same machine: %s)", async (isSame) => {
    const scene = new Scene();
    const disk = scene.disk();
    const shop = await scene.open("a", { disk, machine: scene.machine });
    await scene.until(shop.stock.decrement("k"));
    const rights = shop.stock.rights("k");
    const machine = isSame ? scene.machine : new Machine();
    const copy = await scene.open("copy", { disk: disk.copy(), machine, isExclusive: isSame });
    expect(left(copy)).toEqual(["held"]);
    scene.areLinked = false;
    expect(await scene.sellOut(copy, "k", 0)).toBe(59 - rights);
    expect(await scene.sellOut(shop, "k", 0)).toBe(rights);
  });

  test("and is opened when that is gone is older, and held", async () => {
    const scene = new Scene();
    const disk = scene.disk();
    const shop = await scene.open("a", { disk, machine: scene.machine });
    await scene.until(shop.stock.decrement("k"));
    const copy = disk.copy();
    await scene.until(shop.stock.decrement("k"));
    scene.kill(shop);
    const opened = await scene.open("copy", { disk: copy, machine: scene.machine });
    expect(left(opened)).toEqual(["held"]);
    const next = await scene.open("a", { disk, machine: scene.machine });
    await scene.settle(5_000);
    expect(left(next)).toEqual([]);
  });

  test("after it was killed can be opened once: the other of the two is held", async () => {
    const scene = new Scene();
    const disk = scene.disk();
    const shop = await scene.open("a", { disk, machine: scene.machine });
    await scene.until(shop.stock.decrement("k"));
    scene.kill(shop);
    const copy = disk.copy();
    const opened = [
      await scene.open("copy", { disk: copy, machine: scene.machine }),
      await scene.open("a", { disk, machine: scene.machine }),
    ];
    await scene.settle(5_000);
    expect(opened.map(left)).toEqual([[], ["held"]]);
    expect(await scene.sellOut(opened[0] as Shop, "k", 0)).toBe(59);
  });
});

describe("a directory that was set back", () => {
  test("to a state with rights is held", async () => {
    const scene = new Scene();
    const disk = scene.disk();
    const home = { disk, machine: scene.machine };
    const shop = await scene.open("a", home);
    await scene.until(shop.stock.decrement("k"));
    const image = disk.image();
    await scene.until(shop.stock.decrement("k", 10));
    scene.kill(shop);
    disk.restore(image);
    const next = await scene.open("a", home);
    expect(left(next)).toEqual(["held"]);
    expect(await scene.sellOut(next, "k", 0)).toBeLessThanOrEqual(49);
  });

  test.each([0, closedMax + 1])(
    "to what was returned since gives nothing twice, %d closed holders later",
    async (later) => {
      const scene = new Scene({ stock: boundedCounter({ min: 0 }) });
      const disk = scene.disk();
      const shop = await scene.open("a", { disk });
      shop.stock.increment("k", 10);
      scene.isAway = true;
      await scene.settle(200);
      await scene.close(shop);
      scene.isAway = false;
      const image = disk.image();
      const next = await scene.open("a", { disk });
      await scene.settle(30_000);
      expect(left(next)).toEqual([]);
      await scene.close(next);
      for (let i = 0; i < later; i++) {
        await scene.settle(10);
        const other = await scene.open(`other${i}`);
        await scene.until(other.stock.decrement("k", 1, { waitMs: 0 }).catch(() => undefined));
        await scene.close(other);
      }
      disk.restore(image);
      const again = await scene.open("a", { disk });
      await scene.settle(30_000);
      // So long ago nobody knows any more whether it was done, and it is not done again.
      expect(left(again)).toEqual(later === 0 ? [] : ["held"]);
      expect(await scene.sellOut(again, "k", 0)).toBe(Math.max(0, 10 - later));
    },
  );
});

describe("an operator", () => {
  test("sees who holds what, and can make it free; the old process spends nothing more", async () => {
    const scene = new Scene();
    const [a, b] = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    await scene.until(b.stock.decrement("k"));
    const rights = b.stock.rights("k");
    scene.areLinked = false;
    expect(riskOfReclaiming).toContain("sold again");
    const listed = await scene.until(readPool(a.updates, named));
    const holder = listed?.holders.find(({ name }) => name === "b")?.id ?? "";
    expect(listed).toMatchObject({
      free: 60 - rights - 1,
      holders: [{ name: "b", state: "open" }],
    });
    // What it sold and did not report yet is sold again: that is the risk.
    expect(await scene.until(reclaim(a.updates, named, holder))).toEqual({
      rights: rights + 1,
      upRights: 0,
    });
    expect(await scene.refusal(b.stock.decrement("k", 59))).toBeInstanceOf(RightsUnavailableError);
    expect(() => b.stock.tryDecrement("k")).toThrow(RightsUnavailableError);
    expect(b.warnings.length).toBe(1);
    expect(await scene.sellOut(a, "k")).toBe(60);
  });
});
