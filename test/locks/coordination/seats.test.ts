/** Who may be in beside whom, whatever is paused, killed and late: against a plain list of who is in. */
import { expect, test } from "vitest";
import { LeaseLostError, LockTimeoutError, UsageError } from "../../../src/errors.ts";
import type { HeldBy } from "../../../src/escalate/outside-locks.ts";
import { rejection } from "../trial.ts";
import { type Citizen, pass, Town } from "./town.ts";

const ttlMs = 1_000;

test("readers come in together, a writer waits for all of them, and later readers for the writer", async () => {
  const town = new Town(1);
  const [one, two, three] = [town.citizen("one"), town.citizen("two"), town.citizen("three")];
  const order: string[] = [];
  const reads = (citizen: Citizen, ms: number): Promise<void> =>
    citizen.locks.shared("a", async () => {
      order.push(`${citizen.name} in`);
      await pass(citizen, ms);
      order.push(`${citizen.name} out`);
    });
  const all = [reads(one, 100), reads(two, 200)];
  await town.world.settle({ forMs: 10 });
  all.push(
    three.locks.exclusive("a", () => {
      order.push("alone");
    }),
  );
  await town.world.settle({ forMs: 10 });
  all.push(reads(one, 10));
  await town.world.settle({ forMs: 1_000 });
  await Promise.all(all);
  expect(order).toEqual(["one in", "two in", "one out", "two out", "alone", "one in", "one out"]);
});

test("permits are not exceeded through expiry: who stood still finds its permit gone, not doubled", async () => {
  const town = new Town(2);
  const [frozen, other] = [town.citizen("frozen"), town.citizen("other")];
  let first: HeldBy | undefined;
  const holding = frozen.locks.withPermit(
    "s",
    1,
    async (held) => {
      first = held;
      await pass(frozen, 100);
    },
    { ttlMs },
  );
  await town.world.settle({ forMs: 10 });
  frozen.environment.pause();
  let isIn = false;
  const second = other.locks.withPermit(
    "s",
    1,
    () => {
      expect(first?.lost.aborted).toBe(true);
      isIn = true;
    },
    { ttlMs, waitMs: 10_000 },
  );
  await town.world.settle({ forMs: 500 });
  expect(isIn).toBe(false);
  await town.world.settle({ forMs: 3_000 });
  await second;
  expect(isIn).toBe(true);
  frozen.environment.resume();
  const refused = rejection(holding);
  await town.world.settle({ forMs: 1_000 });
  expect(await refused).toBeInstanceOf(LeaseLostError);
});

test("holders are seen, with their names", async () => {
  const town = new Town(3);
  const citizen = town.citizen("ada");
  const holding = citizen.locks.withPermit("s", 2, () => pass(citizen, 100), { holder: "ada" });
  await town.world.settle({ forMs: 10 });
  const listing = citizen.locks.permitHolders("s");
  await town.world.settle({ forMs: 10 });
  expect(await listing).toMatchObject([{ holder: "ada", mode: "permit" }]);
  await town.world.settle({ forMs: 200 });
  await holding;
});

test("a level that is held alone keeps everybody out below it, and intentions do not keep each other out", async () => {
  const town = new Town(4);
  const [one, two, three] = [town.citizen("one"), town.citizen("two"), town.citizen("three")];
  const order: string[] = [];
  const at = (
    citizen: Citizen,
    path: string,
    mode: "shared" | "exclusive",
    ms: number,
  ): Promise<void> =>
    citizen.locks.withPath(path, mode, async () => {
      order.push(`+${path}`);
      await pass(citizen, ms);
      order.push(`-${path}`);
    });
  const all = [
    at(one, "shop/eu/sku-9", "exclusive", 100),
    at(two, "shop/eu/sku-8", "exclusive", 50),
  ];
  await town.world.settle({ forMs: 20 });
  all.push(at(three, "shop/eu", "exclusive", 10));
  await town.world.settle({ forMs: 1_000 });
  await Promise.all(all);
  expect(order.slice(0, 2).toSorted()).toEqual(["+shop/eu/sku-8", "+shop/eu/sku-9"]);
  expect(order.slice(2)).toEqual(["-shop/eu/sku-8", "-shop/eu/sku-9", "+shop/eu", "-shop/eu"]);
});

test("what is held shared is not made exclusive, nor taken twice: that is an error, not a wait for oneself", async () => {
  const town = new Town(5);
  const { locks } = town.citizen("one");
  const upgrade = locks.shared("a", () => locks.exclusive("a", () => 1));
  const refused = rejection(upgrade);
  await town.world.settle({ forMs: 1_000 });
  expect(await refused).toBeInstanceOf(UsageError);
});

test("who does not get in within its time says so, and leaves nothing behind", async () => {
  const town = new Town(6);
  const [one, two] = [town.citizen("one"), town.citizen("two")];
  const first = one.locks.shared("a", () => pass(one, 1_000));
  await town.world.settle({ forMs: 10 });
  const late = rejection(two.locks.exclusive("a", () => 1, { waitMs: 100 }));
  await town.world.settle({ forMs: 300 });
  expect(await late).toBeInstanceOf(LockTimeoutError);
  let isIn = false;
  const third = two.locks.shared("a", () => void (isIn = true));
  await town.world.settle({ forMs: 100 });
  expect(isIn).toBe(true);
  await town.world.settle({ forMs: 2_000 });
  await Promise.all([first, third]);
});

test("who comes and goes leaves room, however long two others stay", async () => {
  const town = new Town(7);
  const [staying, passing] = [town.citizen("staying"), town.citizen("passing")];
  const stays = [0, 1].map(() => staying.locks.shared("a", () => pass(staying, 60_000)));
  await town.world.settle({ forMs: 10 });
  for (let i = 0; i < 300; i++) {
    const visit = passing.locks.shared("a", () => i);
    await town.world.settle({ forMs: 10 });
    expect(await visit).toBe(i);
  }
  await town.world.settle({ forMs: 60_000 });
  await Promise.all(stays);
});
