/** An increment with a key counts once, however often and wherever it is asked for, with an upper bound and without. */
import { describe, expect, test } from "vitest";
import { CounterRangeError, InsufficientError, UnknownOutcomeError } from "../../src/errors.ts";
import type { Pending } from "../../src/escalate/escrow/holding.ts";
import { holderIdFromBytes } from "../../src/escalate/escrow/holder-id.ts";
import { holdingKey, readRights, writeKept } from "../../src/escalate/escrow/rights-records.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { Scene } from "./scene.ts";
import type { SchemaName, Shop } from "./simulation/shop.ts";

const once = (idempotencyKey: string, waitMs = 5_000) => ({ idempotencyKey, waitMs });
const collections: readonly SchemaName[] = ["stock", "seats"];
const initial = { stock: 60, seats: 25 } as const;

const valuesOf = (shops: readonly Shop[], name: SchemaName): number[] =>
  shops.map((shop) => shop[name].value("k"));

/** Sells one after the other until nothing is to be had; returns how many. */
async function sellOut(scene: Scene, shop: Shop, name: SchemaName): Promise<number> {
  for (let sold = 0; ; sold++) {
    if ((await scene.refusal(shop[name].decrement("k", 1, { waitMs: 5_000 }))) !== undefined) {
      return sold;
    }
  }
}

/** Asks, whoever lives, until somebody says that it is done. */
async function insist(scene: Scene, shops: () => readonly Shop[], name: SchemaName, key: string) {
  for (let attempt = 0; attempt < 50; attempt++) {
    const living = shops();
    const shop = living[attempt % living.length];
    if (!shop) throw new Error("no shop");
    const asked = shop[name].increment("k", 5, once(key, 3_000));
    if ((await scene.refusal(asked)) === undefined) return;
  }
  throw new Error("it is never done");
}

describe.each(collections)("a key of an increment (%s)", (name) => {
  test("counts once on one replica, at the same time and later, apart from a decrement's", async () => {
    const scene = new Scene();
    const shop = await scene.open("a", { disk: scene.disk() });
    const add = () => shop[name].increment("k", 2, once("x"));
    await scene.until(Promise.all([add(), add()]));
    await scene.until(add());
    expect(shop[name].value("k")).toBe(initial[name] + 2);
    await scene.until(shop[name].decrement("k", 1, once("x")));
    await scene.until(shop[name].increment("other", 2, once("x")));
    expect([shop[name].value("k"), shop[name].value("other")]).toEqual([
      initial[name] + 1,
      initial[name] + 2,
    ]);
  });

  test("counts once on several replicas, and can be spent by each", async () => {
    const scene = new Scene();
    const shops = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    const add = (shop: Shop) => shop[name].increment("k", 5, once("x"));
    await scene.until(Promise.all(shops.map((shop) => add(shop))));
    await scene.settle(500);
    scene.sync();
    expect(valuesOf(shops, name)).toEqual([initial[name] + 5, initial[name] + 5]);
    for (const shop of shops) await scene.until(add(shop));
    const [a] = shops;
    expect(a && (await sellOut(scene, a, name))).toBe(initial[name] + 5);
  });

  test("counts once with half of all answers lost", async () => {
    const scene = new Scene({}, 3);
    const shops = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    for (const shop of shops) await scene.until(shop[name].decrement("k"));
    scene.lost = 0.5;
    for (const key of ["x", "y", "z"]) await insist(scene, () => shops, name, key);
    scene.lost = 0;
    await scene.settle(60_000);
    scene.sync();
    const expected = initial[name] - 2 + 15;
    expect(valuesOf(shops, name)).toEqual([expected, expected]);
    const [a] = shops;
    expect(a && (await sellOut(scene, a, name))).toBe(expected);
  });

  test.each(["elsewhere at once", "elsewhere later", "there"])(
    "counts once when its process dies at any point, and it is asked for again %s",
    async (where) => {
      const outcomes = new Set<string>();
      for (let afterMs = 0; afterMs < 90; afterMs += 2) {
        const scene = new Scene({}, 1 + afterMs);
        scene.lateMs = 12;
        const disk = scene.disk();
        disk.delays = { writeMsMax: 5, syncMsMax: 20 };
        const home = { disk, machine: scene.machine };
        const [shop, other] = [await scene.open("a", home), await scene.open("b")];
        await scene.until(shop[name].decrement("k"));
        let isTold = false;
        void shop[name].increment("k", 5, once("x")).then(
          () => (isTold = true),
          () => undefined,
        );
        if (where === "elsewhere at once") other[name].increment("k", 5, once("x")).catch(() => 0);
        await scene.settle(afterMs);
        const was = isTold;
        scene.kill(shop);
        outcomes.add(was ? "told" : "not told");
        if (where === "elsewhere later") await insist(scene, () => [other], name, "x");
        await scene.settle(5_000);
        const next = await scene.open("a", home);
        await insist(scene, () => [next], name, "x");
        await scene.settle(10_000);
        scene.sync();
        const expected = initial[name] - 1 + 5;
        const values = valuesOf([next, other], name);
        expect({ afterMs, values }).toEqual({ afterMs, values: [expected, expected] });
        const sold = await sellOut(scene, other, name);
        expect({ afterMs, sold }).toEqual({ afterMs, sold: expected });
      }
      expect([...outcomes].toSorted()).toEqual(["not told", "told"]);
    },
  );

  test.each([true, false])(
    "counts once when its replica leaves at any point (durable: %s)",
    async (isDurable) => {
      let decided = 0;
      for (let afterMs = 0; afterMs < 90; afterMs += 2) {
        const scene = new Scene({}, 1 + afterMs);
        scene.lateMs = 12;
        const disk = scene.disk();
        disk.delays = { writeMsMax: 5, syncMsMax: 20 };
        const home = { disk, machine: scene.machine };
        const shop = await scene.open("a", isDurable ? home : undefined);
        const other = await scene.open("b");
        await scene.until(shop[name].decrement("k"));
        let isTold = false;
        void shop[name].increment("k", 5, once("x")).then(
          () => (isTold = true),
          () => undefined,
        );
        await scene.settle(afterMs);
        const was = isTold;
        await scene.close(shop);
        if (!was && isTold) decided++;
        if (isDurable) await scene.open("a", home);
        await insist(scene, () => [other], name, "x");
        await scene.settle(10_000);
        scene.sync();
        const expected = initial[name] - 1 + 5;
        expect({ afterMs, value: other[name].value("k") }).toEqual({ afterMs, value: expected });
        const sold = await sellOut(scene, other, name);
        expect({ afterMs, sold }).toEqual({ afterMs, sold: expected });
      }
      expect(decided).toBeGreaterThan(0);
    },
  );

  test("that was not claimed when the process died is claimed when the directory is opened again", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk(), machine: scene.machine };
    const shop = await scene.open("a", home);
    await scene.until(shop[name].decrement("k"));
    scene.isAway = true;
    const error = await scene.refusal(shop[name].increment("k", 1, once("x", 500)));
    expect(error).toBeInstanceOf(UnknownOutcomeError);
    expect(shop[name].value("k")).toBe(initial[name] - 1);
    scene.kill(shop);
    scene.isAway = false;
    const next = await scene.open("a", home);
    await scene.settle(10_000);
    expect(next[name].value("k")).toBe(initial[name]);
    await scene.until(next[name].increment("k", 1, once("x")));
    expect(next[name].value("k")).toBe(initial[name]);
    expect(await sellOut(scene, next, name)).toBe(initial[name]);
  });
});

test("a key that took the last room is answered as before, though there is none left", async () => {
  const scene = new Scene();
  const [a, b] = [await scene.open("a"), await scene.open("b")];
  await scene.until(a.seats.increment("k", 15, once("x")));
  await scene.until(b.seats.increment("k", 15, once("x")));
  expect(await scene.refusal(b.seats.increment("k", 1, once("y")))).toBeInstanceOf(
    InsufficientError,
  );
});

test("what would leave the range is refused, with what others set aside, and a repetition is not", async () => {
  const scene = new Scene();
  const shop = await scene.open("a", { disk: scene.disk() });
  const half = 2 ** 52;
  const both = [
    scene.refusal(shop.stock.increment("k", half, once("x"))),
    scene.refusal(shop.stock.increment("k", half, once("y"))),
  ];
  expect(await Promise.all(both)).toEqual([undefined, expect.any(CounterRangeError)]);
  await scene.until(shop.stock.increment("k", half, once("x")));
  expect(() => shop.stock.increment("k", half)).toThrow(CounterRangeError);
  expect(shop.stock.value("k")).toBe(60 + half);
});

describe("what is set aside on the disk", () => {
  const down: Pending = {
    ...{ operation: "07".repeat(8), hash: "a1".repeat(16), side: "down", by: 3, windowMs: 1_000 },
  };
  const up: Pending = { ...down, operation: "08".repeat(8), side: "up", by: 2 };
  const account = { granted: 5, returned: 0, created: 1, spent: 2, reserved: 0 };
  const keptWith = (...pending: readonly Pending[]) => ({
    ...{ state: "open" as const, seen: undefined, down: account, up: account, pending },
  });
  const name = { holder: holderIdFromBytes(new Uint8Array(16)), collection: "stock", key: "k" };

  async function readBack(value: Uint8Array) {
    const engine = await memoryStorage().open();
    const batch = engine.batch();
    batch.put(holdingKey(name), value);
    await batch.write({ sync: true });
    const { holdings } = await readRights(engine);
    await engine.close();
    return holdings.map(({ kept }) => kept);
  }

  test("is read as it was written, in each direction", async () => {
    for (const kept of [keptWith(), keptWith(down), keptWith(up), keptWith(down, up)]) {
      expect(await readBack(writeKept(kept))).toEqual([kept]);
    }
  });

  test("by versions that knew decrements alone is read, and written as they did", async () => {
    const text = (value: string): string =>
      Buffer.from([value.length, ...Buffer.from(value)]).toString("hex");
    const accounts = "0500010200".repeat(2);
    const pending = `${text(down.operation)}${text(down.hash)}03e807`;
    const old = Buffer.from(`010000${accounts}01${pending}`, "hex");
    expect(await readBack(old)).toEqual([keptWith(down)]);
    expect(Buffer.from(writeKept(keptWith(down))).toString("hex")).toBe(old.toString("hex"));
  });
});
