/** What is asked again under one key is done once, and answered as the first time. */
import { describe, expect, test } from "vitest";
import { InvalidValueError, OverloadedError, UnknownOutcomeError } from "../../src/errors.ts";
import { keysMax } from "../../src/escalate/fenced/key-memory.ts";
import { rejection } from "../locks/trial.ts";
import { Cluster, joinAll, type Site } from "./scene.ts";

const add = (current: number | undefined): number => (current ?? 0) + 1;

/** An increment as a section. */
const addIn = ({ accounts, fenced }: Site, key: string, idempotencyKey: string): Promise<number> =>
  fenced.escalate(
    [accounts.at(key), accounts.at(`log of ${key}`)],
    (section) => {
      const [value = 0, log = 0] = section.values;
      section.set(accounts.at(key), value + 1);
      section.set(accounts.at(`log of ${key}`), log + 1);
      return value + 1;
    },
    { idempotencyKey },
  );

describe("a key", () => {
  test("gives a repetition the first result, on whatever replica, and runs nothing", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    expect(await cluster.run(a.accounts.update("x", add, { idempotencyKey: "k" }))).toBe(1);
    await cluster.run(b.accounts.update("x", () => 50));
    let runs = 0;
    const again = b.accounts.update("x", () => runs++, { idempotencyKey: "k" });
    expect([await cluster.run(again), runs]).toEqual([1, 0]);
    expect(await cluster.run(a.accounts.read("x"))).toBe(50);
    expect(await cluster.run(a.accounts.update("x", add, { idempotencyKey: "other" }))).toBe(51);
    // Also when the first result was that nothing is there.
    await cluster.run(a.accounts.delete("x", { idempotencyKey: "d" }));
    await cluster.run(a.accounts.update("x", () => 1));
    await cluster.run(b.accounts.delete("x", { idempotencyKey: "d" }));
    expect(await cluster.run(b.accounts.read("x"))).toBe(1);
  });

  test("gives every run and every repetition one operation id, which others cannot guess from the guard", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const ids: string[] = [];
    const fail = async (site: Site, idempotencyKey?: string): Promise<void> => {
      const failing = site.accounts.update(
        "x",
        (_current, { operationId }) => {
          ids.push(operationId);
          throw new RangeError("not now");
        },
        idempotencyKey === undefined ? {} : { idempotencyKey },
      );
      await cluster.run(rejection(failing));
    };
    await fail(a, "k");
    await fail(b, "k");
    await fail(a, "l");
    await fail(a);
    await fail(a);
    // What was refused for its value ran twice: on what was known, and on what the store confirmed.
    const distinct = [...new Set(ids)];
    expect(distinct).toHaveLength(4);
    expect(ids.filter((id) => id === distinct[0]).length).toBeGreaterThanOrEqual(2);
  });

  test("of a section is found in whatever order its values are named, and belongs to them", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    expect(await cluster.run(addIn(a, "x", "k"))).toBe(1);
    const turned = b.fenced.escalate(
      [b.accounts.at("log of x"), b.accounts.at("x")],
      () => {
        throw new Error("it ran");
      },
      { idempotencyKey: "k" },
    );
    expect(await cluster.run(turned)).toBe(1);
    const alone = b.fenced.escalate([b.accounts.at("log of x")], () => "ran", {
      idempotencyKey: "k",
    });
    expect(await cluster.run(alone)).toBe("ran");
    // Nothing was set, and the key is remembered all the same.
    const quiet = a.fenced.escalate([a.accounts.at("log of x")], () => "again", {
      idempotencyKey: "k",
    });
    expect(await cluster.run(quiet)).toBe("ran");
    expect(await cluster.run(a.accounts.update("log of x", add, { idempotencyKey: "k" }))).toBe(2);
  });

  test("resolves an outcome that was unknown, as soon as the store answers again", async () => {
    const cluster = new Cluster();
    const site = cluster.site();
    await cluster.run(site.accounts.update("x", add));
    site.way.fault = "lose-replies";
    const update = site.accounts.update("x", add, { idempotencyKey: "k", waitMs: 10_000 });
    await cluster.world.settle({ forMs: 400 });
    site.way.fault = "none";
    expect(await cluster.run(update)).toBe(2);
    const section = addIn(site, "x", "s");
    await cluster.world.settle({ forMs: 14 });
    site.way.fault = "lose-replies";
    await cluster.world.settle({ forMs: 500 });
    site.way.fault = "none";
    expect(await cluster.run(section)).toBe(3);
    expect(await cluster.run(site.accounts.read("x"))).toBe(3);
    expect(await cluster.run(site.accounts.read("log of x"))).toBe(1);
  });

  test("is told no only when an earlier attempt can have no effect any more", async () => {
    const cluster = new Cluster();
    const { accounts, fenced, way } = cluster.site();
    await cluster.run(accounts.update("x", add));
    let runs = 0;
    const once = (current: number | undefined): number => {
      if (++runs > 1) throw new RangeError("not again");
      // The request never comes to the store.
      way.fault = "hang";
      return add(current);
    };
    const mendSoon = async (): Promise<void> => {
      await cluster.world.settle({ forMs: 400 });
      way.fault = "none";
    };
    const options = { idempotencyKey: "k", waitMs: 20_000 };
    // Nothing keeps a compare-and-set that is late from being written yet.
    const update = rejection(accounts.update("x", once, options));
    await mendSoon();
    expect(await cluster.run(update)).toMatchObject({
      code: "TRELLIS_UNKNOWN_OUTCOME",
      cause: { message: "not again" },
    });
    // The commit of a section is overtaken by the fence of the next attempt.
    runs = 0;
    const handle = accounts.at("x");
    const section = rejection(
      fenced.escalate([handle], ({ values: [x], set }) => set(handle, once(x)), options),
    );
    await mendSoon();
    expect((await cluster.run(section)).message).toBe("not again");
    expect(await cluster.run(accounts.read("x"))).toBe(1);
  });

  test("that finds no answer in time is told as unknown, and can be asked again elsewhere", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    await cluster.run(a.accounts.update("x", add));
    a.way.fault = "lose-replies";
    const update = a.accounts.update("x", add, { idempotencyKey: "k", waitMs: 300 });
    expect(await cluster.run(rejection(update))).toBeInstanceOf(UnknownOutcomeError);
    expect(await cluster.run(b.accounts.update("x", add, { idempotencyKey: "k" }))).toBe(2);
    expect(await cluster.run(b.accounts.read("x"))).toBe(2);
  });

  test("is refused if it is none, and a result that cannot be kept is, too", async () => {
    const cluster = new Cluster();
    const { notes } = cluster.site();
    for (const key of ["", "\ud800", "x".repeat(1_025), 7 as never]) {
      const update = notes.update("n", () => 1, { idempotencyKey: key });
      expect(await cluster.run(rejection(update))).toBeInstanceOf(InvalidValueError);
    }
    const large = notes.update("n", () => "x".repeat(64 * 1024), { idempotencyKey: "k" });
    expect(await cluster.run(rejection(large))).toBeInstanceOf(InvalidValueError);
    expect(await cluster.run(notes.update("n", () => 1, { idempotencyKey: "k" }))).toBe(1);
  });

  test("is kept for its window; a full memory refuses new ones, forgets none and stops nobody else", async () => {
    const cluster = new Cluster();
    const { brief, fenced } = cluster.site();
    const update = (idempotencyKey: string): Promise<number | undefined> =>
      brief.update("x", add, { idempotencyKey });
    const first = Array.from({ length: keysMax / 2 }, (_, i) => update(`early ${i}`));
    await cluster.run(Promise.all(first));
    await cluster.world.settle({ forMs: 40_000 });
    const second = Array.from({ length: keysMax / 2 }, (_, i) => update(`late ${i}`));
    await cluster.run(Promise.all(second));
    let runs = 0;
    const refused = brief.update("x", () => runs++, { idempotencyKey: "one more" });
    expect(await cluster.run(rejection(refused))).toBeInstanceOf(OverloadedError);
    const section = fenced.escalate([brief.at("x")], () => runs++, { idempotencyKey: "one more" });
    expect(await cluster.run(rejection(section))).toBeInstanceOf(OverloadedError);
    expect(runs).toBe(0);
    expect(await cluster.run(update("early 7"))).toBe(8);
    expect(await cluster.run(brief.update("x", add))).toBe(keysMax + 1);
    // The early ones are past their window of a minute, the late ones are not.
    await cluster.world.settle({ forMs: 25_000 });
    expect(await cluster.run(update("one more"))).toBe(keysMax + 2);
    expect(await cluster.run(update("late 7"))).toBe(keysMax / 2 + 8);
    expect(await cluster.run(update("early 7"))).toBe(keysMax + 3);
  });

  test("takes its share of what the store takes at once, and leaves the rest to the value", async () => {
    const cluster = new Cluster();
    const site = cluster.site();
    const guarantees = { ...site.watch.guarantees, commitMax: { bytes: 1_000_000 } };
    Object.defineProperty(site.watch, "guarantees", { value: guarantees });
    const result = "x".repeat(60_000);
    let kept = 0;
    let refused: unknown;
    while (refused === undefined && kept < 30) {
      const update = site.notes.update("n", () => result, { idempotencyKey: `k${kept}` });
      refused = await cluster.run(
        update.then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      kept++;
    }
    expect(refused).toBeInstanceOf(OverloadedError);
    expect(kept).toBeGreaterThan(2);
    const large = "x".repeat(740_000);
    expect(await cluster.run(site.notes.update("n", () => large))).toBe(large);
    const tooLarge = site.notes.update("n", () => "x".repeat(1_000_000));
    expect(await cluster.run(rejection(tooLarge))).toBeInstanceOf(InvalidValueError);
  });

  test("does its work once while half of all replies are lost, asked again and again on any replica", async () => {
    const cluster = new Cluster(7);
    const { world } = cluster;
    const sites = [cluster.site(), cluster.site(), cluster.site()];
    for (const { way } of sites) loseHalf(way, () => world.random.chance(0.5));
    let given = 0;
    const results = new Map<string, Set<unknown>>();
    const ask = async (key: string, call: (site: Site) => Promise<unknown>): Promise<void> => {
      for (let tries = 0; tries < 40; tries++) {
        try {
          const result = await call(world.random.pick(sites));
          results.set(key, (results.get(key) ?? new Set()).add(result));
          // Whoever did not hear of it asks again.
          if (world.random.chance(0.7)) return;
        } catch {
          given++;
        }
      }
    };
    const calls = 60;
    const all = Array.from({ length: calls }, (_, i) =>
      i % 2 === 0
        ? ask(`u${i}`, ({ accounts }) =>
            accounts.update("x", add, { idempotencyKey: `u${i}`, waitMs: 2_000 }),
          )
        : ask(`s${i}`, (site) => addIn(site, "x", `s${i}`)),
    );
    await cluster.run(Promise.all(all));
    for (const { way } of sites) Object.assign(way, { isLosing: () => false });
    await world.settle({ forMs: 60_000 });
    expect(results.size).toBe(calls);
    // Each was told one result, no two the same, and the sum is what was told.
    const told = [...results.values()];
    expect(told.every(({ size }) => size === 1)).toBe(true);
    expect(new Set(told.flatMap((set) => [...set])).size).toBe(calls);
    const fresh = cluster.site();
    expect(await cluster.run(fresh.accounts.read("x"))).toBe(calls);
    expect(await cluster.run(fresh.accounts.read("log of x"))).toBe(calls / 2);
    joinAll(cluster.sites);
    expect(cluster.sites.map(({ accounts }) => accounts.get("x"))).toEqual([60, 60, 60, 60]);
    expect(given).toBeGreaterThan(0);
  });
});

/** Of a way to the store, half of the answers. */
function loseHalf(way: object, isLost: () => boolean): void {
  Object.assign(way, { isLosing: isLost });
  const losing = way as Record<string, unknown> & { isLosing: () => boolean };
  for (const name of [
    "birth",
    "open",
    "turn",
    "cancel",
    "renew",
    "read",
    "commit",
    "compareAndSet",
  ]) {
    const ask = losing[name] as (request: unknown) => Promise<unknown>;
    losing[name] = async (request: unknown) => {
      const answer = await ask(request);
      return losing.isLosing() ? new Promise(() => undefined) : answer;
    };
  }
}
