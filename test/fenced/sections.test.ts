/** Several fenced values in one section: all or nothing, checked, in order. */
import { describe, expect, test } from "vitest";
import {
  InvalidValueError,
  LeaseLostError,
  LockTimeoutError,
  StaleTokenError,
  type TrellisError,
  UnknownOutcomeError,
  UsageError,
} from "../../src/errors.ts";
import { sectionHandlesMax } from "../../src/escalate/fenced/sections.ts";
import { rejection } from "../locks/trial.ts";
import type { VirtualEnvironment } from "../simulation/virtual-environment.ts";
import { Cluster, join, Site } from "./scene.ts";

const sleep = (environment: VirtualEnvironment, ms: number): Promise<void> =>
  new Promise((resolve) => {
    environment.schedule(ms, resolve);
  });

describe("a section", () => {
  test("that wrote nothing leaves no token behind that a first write could undercut", async () => {
    const cluster = new Cluster();
    const site = cluster.site();
    const failing = site.fenced.escalate([site.accounts.at("x")], () => {
      throw new RangeError("no");
    });
    expect(await cluster.run(rejection(failing))).toBeInstanceOf(RangeError);
    await cluster.run(site.accounts.update("x", () => 1));
    expect(await cluster.run(site.accounts.read("x"))).toBe(1);
    await cluster.run(site.accounts.update("x", () => 2));
    expect(await cluster.run(site.accounts.read("x"))).toBe(2);
  });

  test("reads and sets several values of several collections in one step, with a token for each", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    await cluster.run(a.accounts.update("x", () => 10));
    const handles = [a.notes.at("log"), a.accounts.at("x"), a.accounts.at("y")] as const;
    const seen: unknown[] = [];
    const result = a.fenced.escalate(handles, async (section) => {
      const [log, x, y] = section.values;
      seen.push(log, x, y, section.tokens, section.operationId.length, section.lost.aborted);
      section.set(handles[2], (x ?? 0) - 3);
      section.set(handles[1], undefined);
      section.set(handles[0], ["moved"]);
      return { moved: 7 };
    });
    expect(await cluster.run(result)).toEqual({ moved: 7 });
    const tokens = seen[3] as readonly bigint[];
    expect(seen).toEqual([undefined, 10, undefined, tokens, 32, false]);
    expect(tokens.every((token) => token > 0n)).toBe(true);
    join(b, a);
    expect([b.notes.get("log"), b.accounts.get("x"), b.accounts.get("y")]).toEqual([
      ["moved"],
      undefined,
      7,
    ]);
    const next = b.fenced.escalate([b.accounts.at("x")], ({ tokens: [token] }) => {
      expect(token).toBeGreaterThan(tokens[1] ?? 0n);
    });
    expect(await cluster.run(next)).toBeUndefined();
  });

  test("checks also what it only reads, and writes nothing when that was overtaken", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    await cluster.run(a.accounts.update("x", () => 1));
    const environment = a.environment as VirtualEnvironment;
    const seen: unknown[] = [];
    let runs = 0;
    // A stands still for longer than its leases live; B writes what A only reads.
    const section = a.fenced.escalate(
      [a.accounts.at("x"), a.accounts.at("y")],
      async ({ values: [x], set }) => {
        seen.push(x);
        if (++runs === 1) {
          environment.pause();
          await sleep(environment, 1);
        }
        set(a.accounts.at("y"), x);
      },
      { ttlMs: 200 },
    );
    await cluster.world.settle({ forMs: 100 });
    const other = b.accounts.update("x", () => 2, { waitMs: 20_000 });
    await cluster.world.settle({ forMs: 2_000 });
    environment.resume();
    await cluster.run(Promise.all([section, other]));
    expect(seen).toEqual([1, 2]);
    expect(await cluster.run(b.accounts.read("y"))).toBe(2);
  });

  test("that was overtaken when its time is over tells so, and leaves nothing", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const environment = a.environment as VirtualEnvironment;
    const lost: boolean[] = [];
    const section = a.fenced.escalate(
      [a.accounts.at("x"), a.accounts.at("y")],
      async (open) => {
        environment.pause();
        await sleep(environment, 1);
        lost.push(open.lost.aborted);
        open.set(a.accounts.at("x"), 1);
        open.set(a.accounts.at("y"), 1);
      },
      { ttlMs: 200, waitMs: 100 },
    );
    const refused = rejection(section);
    await cluster.world.settle({ forMs: 1_000 });
    expect(await cluster.run(b.accounts.update("x", () => 2))).toBe(2);
    environment.resume();
    const error = await cluster.run(refused);
    expect(error instanceof LeaseLostError || error instanceof StaleTokenError).toBe(true);
    expect(lost).toEqual([true]);
    expect(await cluster.run(b.accounts.read("y"))).toBeUndefined();
    expect(await cluster.run(b.accounts.read("x"))).toBe(2);
  });

  test("that throws, or returns what cannot be kept, writes nothing and frees its values", async () => {
    const cluster = new Cluster();
    const site = cluster.site();
    const x = site.accounts.at("x");
    const run = (fn: (set: (value: unknown) => void) => unknown): Promise<TrellisError> =>
      cluster.run(
        rejection(
          site.fenced.escalate([x], (section) => {
            section.set(x, 1);
            return fn((value) => section.set(x, value as number));
          }),
        ),
      );
    const boom = await run(() => {
      throw new RangeError("boom");
    });
    expect(boom).toBeInstanceOf(RangeError);
    for (const bad of [() => 1n, () => "x".repeat(64 * 1024), () => new Map()]) {
      expect(await run(bad)).toBeInstanceOf(InvalidValueError);
    }
    expect(await run((set) => set(Number.NaN))).toBeInstanceOf(InvalidValueError);
    // An error of its own that looks like one of the store's is not taken for one.
    let runs = 0;
    const own = await run(() => {
      runs++;
      throw new StaleTokenError("mine", { token: 1n });
    });
    expect([own.message, runs]).toEqual(["mine", 1]);
    expect(await cluster.run(x.read())).toBeUndefined();
    expect(await cluster.run(x.update(() => 5, { waitMs: 0 }))).toBe(5);
  });

  test("refuses what it cannot be over, before anything is asked", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const x = a.accounts.at("x");
    const many = Array.from({ length: sectionHandlesMax + 1 }, (_, i) => a.accounts.at(`k${i}`));
    const wrong = [
      [],
      many,
      [x, a.accounts.at("x")],
      [b.accounts.at("x")],
      [{}],
      [undefined],
      [a.username.at("ada")],
      "x",
    ];
    for (const handles of wrong) {
      const section = a.fenced.escalate(handles as (typeof x)[], () => undefined);
      expect(await rejection(section)).toBeInstanceOf(UsageError);
    }
    expect(a.way.requests).toBe(0);
    const allowed = a.fenced.escalate(many.slice(1), (section) => section.values.length);
    expect(await cluster.run(allowed)).toBe(sectionHandlesMax);
  });

  test("takes `set` only of its own values, and only until it is over", async () => {
    const cluster = new Cluster();
    const { accounts, fenced } = cluster.site();
    const x = accounts.at("x");
    let late: (() => void) | undefined;
    const section = fenced.escalate([x], (open) => {
      expect(() => open.set(accounts.at("y"), 1)).toThrow(UsageError);
      expect(Object.isFrozen(open.values)).toBe(true);
      late = () => open.set(x, 1);
    });
    await cluster.run(section);
    expect(late).toThrow(UsageError);
    expect(await cluster.run(x.read())).toBeUndefined();
  });

  test("over several is refused where the store cannot commit several at once", async () => {
    const cluster = new Cluster();
    const site = cluster.site();
    const guarantees = { ...site.watch.guarantees, atomicCommits: false };
    const weak = new Proxy(site.resilient, {
      get: (target, name) =>
        name === "guarantees" ? guarantees : (Reflect.get(target, name, target) as unknown),
    });
    const backend = {
      name: "weak",
      guarantees,
      birth: weak.birth.bind(site.resilient),
      acquire: weak.acquire.bind(site.resilient),
      read: weak.read.bind(site.resilient),
      commit: weak.commit.bind(site.resilient),
      compareAndSet: weak.compareAndSet.bind(site.resilient),
      [Symbol.asyncDispose]: async () => undefined,
    };
    const { accounts, fenced } = new Site({ environment: site.environment, backend });
    const both = fenced.escalate([accounts.at("x"), accounts.at("y")], () => 1);
    expect(await cluster.run(rejection(both))).toBeInstanceOf(UsageError);
    expect(await cluster.run(fenced.escalate([accounts.at("x")], () => 1))).toBe(1);
  });

  test("keeps updates out while it runs, and they go on after it", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const x = a.accounts.at("x");
    const order: string[] = [];
    const section = a.fenced.escalate([x], async (open) => {
      await sleep(a.environment as VirtualEnvironment, 300);
      order.push("section");
      open.set(x, 1);
    });
    await cluster.world.settle({ forMs: 50 });
    const updates = [a, b].map(async ({ accounts }) => {
      order.push(`update: ${await accounts.update("x", (current) => (current ?? 0) + 1)}`);
    });
    await cluster.run(Promise.all([section, ...updates]));
    expect(order).toEqual(["section", "update: 2", "update: 3"]);
    expect(await cluster.run(x.read())).toBe(3);
  });

  test("is renewed while it runs for longer than its time to live", async () => {
    const cluster = new Cluster();
    const { accounts, fenced, environment } = cluster.site();
    const x = accounts.at("x");
    const section = fenced.escalate(
      [x],
      async (open) => {
        await sleep(environment as VirtualEnvironment, 2_000);
        open.set(x, 1);
      },
      { ttlMs: 200 },
    );
    await cluster.run(section);
    expect(accounts.get("x")).toBe(1);
  });

  test("waits for its values as long as it may, and leaves nothing when it is aborted", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const [x, y] = [a.accounts.at("x"), a.accounts.at("y")];
    const lease = await cluster.run(
      b.watch.acquire(y.target.resource, { ttlMs: 60_000, waitMs: 0 }),
    );
    let runs = 0;
    const count = (): void => void runs++;
    for (const waitMs of [0, 300]) {
      const late = a.fenced.escalate([x, y], count, { waitMs });
      expect(await cluster.run(rejection(late))).toBeInstanceOf(LockTimeoutError);
    }
    const leaving = new AbortController();
    const { signal } = leaving;
    const left = rejection(a.fenced.escalate([x, y], count, { signal, waitMs: 60_000 }));
    await cluster.world.settle({ forMs: 100 });
    leaving.abort(new Error("left"));
    expect((await cluster.run(left)).message).toBe("left");
    // X was given back.
    expect(
      await cluster.run(b.fenced.escalate([b.accounts.at("x")], () => 1, { waitMs: 10 })),
    ).toBe(1);
    await cluster.run(lease.release());
    expect(runs).toBe(0);
    await cluster.run(a.fenced.escalate([x, y], count));
    expect(await cluster.world.settle({})).toBe("idle");
  });

  test("that is aborted while it runs commits nothing", async () => {
    const cluster = new Cluster();
    const { accounts, fenced } = cluster.site();
    const x = accounts.at("x");
    const leaving = new AbortController();
    const section = fenced.escalate(
      [x],
      (open) => {
        open.set(x, 1);
        leaving.abort(new Error("left"));
      },
      { signal: leaving.signal },
    );
    expect((await cluster.run(rejection(section))).message).toBe("left");
    expect(await cluster.run(x.read())).toBeUndefined();
  });

  test("without a key tells an unknown outcome as unknown, and a later one sees what came of it", async () => {
    const cluster = new Cluster();
    const [a, b] = [cluster.site(), cluster.site()];
    const x = a.accounts.at("x");
    const section = a.fenced.escalate([x], (open) => {
      open.set(x, 1);
      a.way.fault = "lose-replies";
    });
    expect(await cluster.run(rejection(section))).toBeInstanceOf(UnknownOutcomeError);
    const seen = b.fenced.escalate([b.accounts.at("x")], ({ values: [value] }) => value, {
      waitMs: 60_000,
    });
    expect(await cluster.run(seen)).toBe(1);
  });

  test("whose lease runs out right after the commit was committed all the same", async () => {
    const cluster = new Cluster();
    const { accounts, fenced, environment, way } = cluster.site();
    const x = accounts.at("x");
    const virtual = environment as VirtualEnvironment;
    const commit = way.commit.bind(way);
    // The process stands still while the answer is on its way.
    Object.assign(way, {
      commit: async (request: Parameters<typeof commit>[0]) => {
        const reply = await commit(request);
        virtual.pause();
        return reply;
      },
    });
    const section = fenced.escalate(
      [x],
      (open) => {
        open.set(x, 1);
        return "done";
      },
      { ttlMs: 100, waitMs: 50 },
    );
    await cluster.world.settle({ forMs: 3_000 });
    virtual.resume();
    expect(await cluster.run(section)).toBe("done");
    expect(accounts.get("x")).toBe(1);
  });

  test("in a section is refused where it could wait for ever, and locks are taken before sections", async () => {
    const cluster = new Cluster();
    const { accounts, fenced, locks } = cluster.site();
    const [a, b] = [accounts.at("a"), accounts.at("b")];
    const inner = fenced.escalate([b], () => fenced.escalate([a], () => 1));
    expect(await cluster.run(rejection(inner))).toBeInstanceOf(UsageError);
    const lock = fenced.escalate([b], () => locks.withLock("lock/z", () => 1));
    expect(await cluster.run(rejection(lock))).toBeInstanceOf(UsageError);
    // What it holds itself is set, not updated.
    const own = fenced.escalate([b], () => b.update(() => 1));
    expect(await cluster.run(rejection(own))).toBeInstanceOf(UsageError);
    const other = fenced.escalate([b], () => a.update(() => 1));
    expect(await cluster.run(other)).toBe(1);
    const fine = locks.withLock("lock/z", () => fenced.escalate([a], () => 1));
    expect(await cluster.run(fine)).toBe(1);
  });
});
