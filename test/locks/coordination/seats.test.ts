/** Who may be in beside whom, whatever is paused, killed and late: against a plain list of who is in. */
import { expect, test } from "vitest";
import { LeaseLostError, LockTimeoutError, TrellisError, UsageError } from "../../../src/errors.ts";
import type { HeldBy } from "../../../src/escalate/outside-locks.ts";
import { rejection } from "../trial.ts";
import { type Citizen, pass, Town } from "./town.ts";

const ttlMs = 1_000;

/** Somebody who is in. */
interface Inside {
  readonly what: string;
  readonly held: HeldBy;
}

const besides: Readonly<Record<string, (others: readonly Inside[]) => boolean>> = {
  shared: (others) => others.every(({ what }) => what === "shared"),
  exclusive: (others) => others.length === 0,
  permit: (others) => others.length < 3,
};

/** One lock, and a list of who is in; a lease that has run out, as its holder could see, is no longer. */
class Door {
  readonly #inside = new Set<Inside>();
  #lastToken = 0n;
  entries = 0;

  async enter(what: string, held: HeldBy, work: () => Promise<void>): Promise<void> {
    const others = [...this.#inside].filter((one) => !one.held.lost.aborted);
    if (besides[what]?.(others) !== true) {
      throw new Error(`${what} beside ${others.map((one) => one.what).join()}`);
    }
    if (held.token <= this.#lastToken) throw new Error(`${held.token} after ${this.#lastToken}`);
    this.#lastToken = held.token;
    this.entries++;
    const me = { what, held };
    this.#inside.add(me);
    await work();
    this.#inside.delete(me);
  }
}

test("nobody is in beside whom it cannot be beside, and tokens grow, though processes stand still and die", async () => {
  await underSeedsOf(12, async (seed) => {
    const town = new Town(seed);
    const citizens = [0, 1, 2, 3].map((i) => town.citizen(`p${i}`));
    const [moded, permitted] = [new Door(), new Door()];
    const failures: unknown[] = [];
    const goings = citizens.flatMap((citizen) =>
      [0, 1].map(() =>
        visits(town, citizen, { moded, permitted }).catch((error: unknown) => failures.push(error)),
      ),
    );
    for (let i = 0; i < 40; i++) {
      await town.world.settle({ forMs: 250 });
      const { environment } = town.random.pick(citizens);
      if (town.random.chance(0.3)) environment.pause();
      if (town.random.chance(0.1) && i > 20) environment.stop();
      for (const one of citizens) if (town.random.chance(0.3)) one.environment.resume();
    }
    for (const { environment } of citizens) environment.resume();
    await town.world.settle({ forMs: 60_000 });
    for (const { environment } of citizens) environment.stop();
    // Those of processes that were killed never end.
    void goings;
    expect(failures).toEqual([]);
    expect(moded.entries + permitted.entries).toBeGreaterThan(10);
  });
});

async function visits(
  town: Town,
  citizen: Citizen,
  { moded, permitted }: { readonly moded: Door; readonly permitted: Door },
): Promise<void> {
  const { locks, name } = citizen;
  const options = { ttlMs, waitMs: 5_000, holder: name };
  for (let i = 0; i < 12; i++) {
    const stayMs = town.random.below(400);
    const work = (): Promise<void> => pass(citizen, stayMs);
    try {
      const draw = town.random.below(3);
      if (draw === 0) await locks.shared("a", (held) => moded.enter("shared", held, work), options);
      else if (draw === 1)
        await locks.exclusive("a", (held) => moded.enter("exclusive", held, work), options);
      else await locks.withPermit("b", 3, (held) => permitted.enter("permit", held, work), options);
    } catch (error) {
      if (!(error instanceof TrellisError)) throw error;
    }
    await pass(citizen, town.random.below(300));
  }
}

async function underSeedsOf(runs: number, run: (seed: number) => Promise<void>): Promise<void> {
  for (let seed = 1; seed <= runs; seed++) {
    try {
      await run(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
}

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
