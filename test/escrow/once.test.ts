/** A decrement with a key counts once, however often and wherever it is asked for. */
import { describe, expect, test } from "vitest";
import { InsufficientError, OverloadedError, UnknownOutcomeError } from "../../src/errors.ts";
import { claim, claimsMax, findClaim } from "../../src/escalate/escrow/once-record.ts";
import { Scene } from "./scene.ts";

const once = (idempotencyKey: string, waitMs = 5_000) => ({ idempotencyKey, waitMs });
const dayMs = 86_400_000;

describe("a key", () => {
  test("counts once on one replica, at the same time and later", async () => {
    const scene = new Scene();
    const shop = await scene.open("a", { disk: scene.disk() });
    await scene.until(
      Promise.all([
        shop.stock.decrement("k", 2, once("x")),
        shop.stock.decrement("k", 2, once("x")),
      ]),
    );
    await scene.until(shop.stock.decrement("k", 2, once("x")));
    await scene.until(shop.stock.decrement("other", 2, once("x")));
    expect([shop.stock.value("k"), shop.stock.value("other")]).toEqual([58, 58]);
  });

  test("counts once on several replicas, and what was set aside in vain is there again", async () => {
    const scene = new Scene();
    const shops = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    await scene.until(Promise.all(shops.map((shop) => shop.stock.decrement("k", 2, once("x")))));
    await scene.settle(500);
    scene.sync();
    expect(shops.map(({ stock }) => stock.value("k"))).toEqual([58, 58]);
    const [a] = shops;
    expect(a && (await scene.sellOut(a, "k"))).toBe(58);
  });

  test("that took the last right is answered as before, though nothing is left", async () => {
    const scene = new Scene();
    const [a, b] = [await scene.open("a"), await scene.open("b")];
    await scene.until(a.stock.decrement("k", 60, once("x")));
    await scene.until(b.stock.decrement("k", 60, once("x")));
    expect(await scene.refusal(b.stock.decrement("k", 60, once("y")))).toBeInstanceOf(
      InsufficientError,
    );
  });

  test("counts once with half of all answers lost", async () => {
    const scene = new Scene({}, 3);
    const shops = [await scene.open("a"), await scene.open("b", { disk: scene.disk() })];
    for (const shop of shops) await scene.until(shop.stock.decrement("k"));
    scene.lost = 0.5;
    for (let i = 0; i < 15; i++) {
      for (let attempt = 0; ; attempt++) {
        const shop = shops[attempt % 2];
        if (!shop) throw new Error("no shop");
        const error = await scene.refusal(shop.stock.decrement("k", 1, once(`key ${i}`, 3_000)));
        if (error === undefined) break;
        expect(attempt).toBeLessThan(50);
      }
    }
    scene.lost = 0;
    await scene.settle(60_000);
    scene.sync();
    expect(shops.map(({ stock }) => stock.value("k"))).toEqual([60 - 2 - 15, 60 - 2 - 15]);
  });

  test.each([true, false])(
    "that is being decided while its replica leaves is not sold again (durable: %s)",
    async (isDurable) => {
      let decided = 0;
      // At every point of the way: to the disk, to the store, to its end.
      for (let afterMs = 0; afterMs < 90; afterMs++) {
        const scene = new Scene({}, 1 + afterMs);
        scene.lateMs = 12;
        const disk = scene.disk();
        disk.delays = { writeMsMax: 5, syncMsMax: 20 };
        const shop = await scene.open("a", isDurable ? { disk } : undefined);
        const other = await scene.open("b");
        await scene.until(shop.stock.decrement("k"));
        let acknowledged = 0;
        const running = shop.stock.decrement("k", 5, once("x"));
        const told = async (): Promise<void> => {
          await running;
          acknowledged = 5;
        };
        told().catch(() => undefined);
        await scene.settle(afterMs);
        const before = acknowledged;
        await scene.until(shop.close());
        if (before === 0 && acknowledged > 0) decided++;
        const sold = await scene.sellOut(other, "k");
        expect({ afterMs, isSound: 1 + acknowledged + sold <= 60 }).toEqual({
          ...{ afterMs, isSound: true },
        });
      }
      expect(decided).toBeGreaterThan(0);
    },
  );

  test("that was not claimed when the process died is claimed when the directory is opened again", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk(), machine: scene.machine };
    const shop = await scene.open("a", home);
    await scene.until(shop.stock.decrement("k"));
    scene.isAway = true;
    const error = await scene.refusal(shop.stock.decrement("k", 5, once("x", 500)));
    expect(error).toBeInstanceOf(UnknownOutcomeError);
    scene.kill(shop);
    scene.isAway = false;
    const next = await scene.open("a", home);
    await scene.settle(10_000);
    await scene.until(next.stock.decrement("k", 5, once("x")));
    expect(next.stock.value("k")).toBe(54);
    expect(await scene.sellOut(next, "k")).toBe(54);
  });

  test("that somebody else claimed meanwhile gives its rights back when the directory is opened again", async () => {
    const scene = new Scene();
    const home = { disk: scene.disk(), machine: scene.machine };
    const [shop, other] = [await scene.open("a", home), await scene.open("b")];
    await scene.until(shop.stock.decrement("k"));
    scene.isAway = true;
    await scene.refusal(shop.stock.decrement("k", 5, once("x", 500)));
    scene.kill(shop);
    scene.isAway = false;
    await scene.settle(5_000);
    await scene.until(other.stock.decrement("k", 5, once("x")));
    await scene.open("a", home);
    await scene.settle(10_000);
    scene.sync();
    expect(other.stock.value("k")).toBe(54);
    expect(await scene.sellOut(other, "k")).toBe(54);
  });
});

describe("the record of keys", () => {
  const hashOf = (i: number): string => i.toString(16).padStart(32, "0");
  const operation = "00".repeat(8);

  test("refuses new ones when it is full, forgets none before its time, and then makes room", () => {
    let value: Uint8Array | undefined;
    for (let i = 0; i < claimsMax; i += 1) {
      // One by one is slow; the last few are enough to see the bound.
      if (i > 20 && i < claimsMax - 1) continue;
      value = claim(value, { hash: hashOf(i), operation, untilMs: dayMs + i }, 0).value ?? value;
    }
    expect(findClaim(value, hashOf(7))).toMatchObject({ operation });
    expect(findClaim(value, hashOf(9_999))).toBeUndefined();
    const early = claim(value, { hash: hashOf(30_000), operation, untilMs: 3 * dayMs }, dayMs + 10);
    expect(findClaim(early.value, hashOf(7))).toBeDefined();
    const late = claim(value, { hash: hashOf(30_000), operation, untilMs: 3 * dayMs }, 2 * dayMs);
    expect(findClaim(late.value, hashOf(7))).toBeUndefined();
  });

  test("has a bound, and says when there is room again", () => {
    const full = new Uint8Array(3 + claimsMax * (16 + 8 + 6));
    const at = new DataView(full.buffer);
    full.set([1, 0x80, 0x40]);
    for (let i = 0, offset = 3; i < claimsMax; i++) {
      at.setUint32(offset, i + 1);
      offset += 24;
      // A whole day, as a varint of six bytes.
      full.set([0x80, 0xb8, 0x99, 0xa9, 0x80, 0x00], offset);
      offset += 6;
    }
    const wanted = { hash: "ff".repeat(16), operation, untilMs: dayMs };
    expect(() => claim(full, wanted, 0)).toThrow(OverloadedError);
    expect(claim(full, { ...wanted, hash: `00000001${"00".repeat(12)}` }, 0)).toEqual({
      operation,
    });
    expect(claim(full, wanted, 2 * dayMs).value).toBeDefined();
  });
});
