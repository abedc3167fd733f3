/** What stands above the port: breaker, bulkhead, pauses, chooser, order, lines. */
import { describe, expect, test } from "vitest";
import {
  ClosedError,
  ConflictError,
  LeaseLostError,
  LockTimeoutError,
  LockUnavailableError,
  OverloadedError,
  UsageError,
} from "../../src/errors.ts";
import { Bulkhead } from "../../src/escalate/bulkhead.ts";
import { Circuit, failuresMax, openMsMax, openMsMin } from "../../src/escalate/circuit.ts";
import { type Attempt, Contention } from "../../src/escalate/contention.ts";
import { NamedLocks } from "../../src/escalate/named-locks.ts";
import { pauseMsMax, Pauses } from "../../src/escalate/pauses.ts";
import { ResilientLocks } from "../../src/escalate/resilience.ts";
import { World } from "../simulation/virtual-environment.ts";
import { run, scene } from "./scene.ts";
import { bytes, rejection, text } from "./trial.ts";

describe("a circuit", () => {
  const open = (circuit: Circuit): void => {
    for (let i = 0; i < failuresMax; i++) {
      circuit.enter();
      circuit.failed();
    }
  };

  test("opens after failures in a row, lets one through later, and closes when that goes well", async () => {
    const world = new World(1);
    const circuit = new Circuit(world.environment());
    for (let i = 1; i < failuresMax; i++) circuit.failed();
    circuit.succeeded();
    for (let i = 1; i < failuresMax; i++) circuit.failed();
    expect(circuit.state).toBe("closed");
    circuit.failed();
    expect([circuit.state, circuit.enter()]).toEqual(["open", false]);
    await world.settle({ forMs: openMsMin });
    expect([circuit.enter(), circuit.enter(), circuit.state]).toEqual([true, false, "probing"]);
    circuit.succeeded();
    expect([circuit.state, circuit.enter()]).toEqual(["closed", true]);
  });

  test("stays open longer each time that the one fails, within a bound, and not when it was given up", async () => {
    const world = new World(1);
    const circuit = new Circuit(world.environment());
    open(circuit);
    let before = circuit.leftMs;
    for (let i = 0; i < 12; i++) {
      await world.settle({ forMs: circuit.leftMs });
      expect(circuit.enter()).toBe(true);
      circuit.abandoned();
      expect(circuit.enter()).toBe(true);
      circuit.failed();
      expect(circuit.leftMs).toBeGreaterThan(Math.min(before / 2, openMsMax / 3));
      expect(circuit.leftMs).toBeLessThanOrEqual(openMsMax);
      before = circuit.leftMs;
    }
    expect(before).toBeGreaterThan(openMsMax / 3);
  });
});

test("a bulkhead runs so many, queues so many in order, and refuses the rest", async () => {
  const bulkhead = new Bulkhead({ activeMax: 2, queuedMax: 2 });
  const started: number[] = [];
  const ends: (() => void)[] = [];
  const enter = (i: number, signal?: AbortSignal): Promise<void> =>
    bulkhead.run(() => {
      started.push(i);
      return new Promise((resolve) => void ends.push(resolve));
    }, signal);
  const leaving = new AbortController();
  const running = [enter(0), enter(1), enter(2, leaving.signal), enter(3)];
  expect(await rejection(enter(4))).toBeInstanceOf(OverloadedError);
  expect([bulkhead.active, bulkhead.queued, started]).toEqual([2, 2, [0, 1]]);
  const left = rejection(running[2] ?? Promise.resolve());
  leaving.abort(new Error("left"));
  expect((await left).message).toBe("left");
  for (const end of ends.splice(0)) end();
  await Promise.all([running[0], running[1]]);
  expect(started).toEqual([0, 1, 3]);
  for (const end of ends.splice(0)) end();
  await running[3];
  expect([bulkhead.active, bulkhead.queued]).toEqual([0, 0]);
});

test("the first retry comes at once, the others later and never in step", () => {
  const world = new World(1);
  const [one, other] = [new Pauses(world.environment(), 5), new Pauses(world.environment(), 5)];
  const pauses = Array.from({ length: 40 }, () => one.next());
  expect(pauses[0]).toBe(0);
  expect(pauses.slice(1).every((ms) => ms >= 5 && ms <= pauseMsMax)).toBe(true);
  expect(Math.max(...pauses)).toBeGreaterThan(100);
  expect(Array.from({ length: 40 }, () => other.next())).not.toEqual(pauses);
});

describe("contention", () => {
  const outcome = { roundTripMs: 3, computeMs: 0 };
  const written = { ...outcome, written: 1n };
  const first = { conflicts: 0, held: 0, waitUsed: 0 };
  const attempts = (contention: Contention): Attempt[] =>
    Array.from({ length: 100 }, () => contention.choose(first));

  test("a lease is chosen when most of what takes long is wasted, probed, and left after 30 s of calm", () => {
    const contention = new Contention(new World(1).environment());
    const wasted = { ...outcome, written: undefined, computeMs: 10 };
    for (let i = 0; i < 19; i++) contention.observe({ ...wasted, nowMs: i });
    expect(attempts(contention)).not.toContain("lease");
    contention.observe({ ...wasted, nowMs: 20 });
    expect(attempts(contention).filter((attempt) => attempt !== "lease")).toHaveLength(5);
    for (let i = 0; i < 100; i++) contention.observe({ ...written, nowMs: 1_000 + i });
    expect(attempts(contention)).toContain("lease");
    contention.observe({ ...written, nowMs: 32_000 });
    expect(attempts(contention)).not.toContain("lease");
  });

  test("what is quick to compute is not worth a line, until one is overtaken again and again", () => {
    const contention = new Contention(new World(1).environment());
    for (let i = 0; i < 100; i++) {
      contention.observe({ ...outcome, written: undefined, nowMs: i });
    }
    const chosen = [1, 100, 1_000].map((conflicts) => contention.choose({ ...first, conflicts }));
    expect(chosen).toEqual(["compare-and-set", "compare-and-set", "lease"]);
  });

  test("a lease of somebody is waited for in the line only if it lasts", () => {
    const contention = new Contention(new World(1).environment());
    const chosen = [1, 2].map((held) => contention.choose({ ...first, conflicts: held, held }));
    expect(chosen).toEqual(["compare-and-set", "lease"]);
  });

  test("who is alone rests less and less often; who is not writes a share of what the others do", () => {
    const contention = new Contention(new World(1).environment());
    let version = 0n;
    const writesToRest = (others = 0n): number => {
      version += others;
      for (let writes = 1; writes < 1_000; writes++) {
        contention.observe({ ...outcome, written: ++version, nowMs: writes });
        if (contention.restMs(3) > 0) return writes;
      }
      return Number.POSITIVE_INFINITY;
    };
    expect(Array.from({ length: 6 }, () => writesToRest())).toEqual([4, 9, 17, 33, 33, 33]);
    const amongFew = Array.from({ length: 400 }, () => writesToRest(5n)).slice(200);
    const amongMany = Array.from({ length: 400 }, () => writesToRest(60n)).slice(200);
    const mean = (turns: readonly number[]): number =>
      turns.reduce((sum, turn) => sum + turn, 0) / turns.length;
    expect(mean(amongFew)).toBeGreaterThan(7);
    expect(mean(amongFew)).toBeLessThan(13);
    expect(mean(amongMany)).toBeLessThan(2);
    // What was missed is made up for.
    expect(writesToRest(1_000n)).toBeGreaterThan(5);
  });
});

describe("withLock", () => {
  test("runs one at a time over all processes, renews meanwhile, and gives back at the end", async () => {
    const { world, environment, client } = scene();
    const faces = [client(), client(), client()].map(
      ({ backend }) => new NamedLocks(backend, environment),
    );
    let inside = 0;
    let most = 0;
    const options = { ttlMs: 100, waitMs: 60_000 };
    const jobs = [...faces, ...faces, ...faces, ...faces].map((face) =>
      face.withLock(
        "job",
        async (lease) => {
          most = Math.max(most, ++inside);
          await new Promise<void>((resolve) => void environment.schedule(250, resolve));
          expect(lease.lost.aborted).toBe(false);
          inside--;
        },
        options,
      ),
    );
    await run(world, Promise.all(jobs));
    expect(most).toBe(1);
    const free = client().backend.acquire("job", { ttlMs: 100, waitMs: 0 });
    await run(world, free);
  });

  test("asks the store for one place in its line, however many wait in this process", async () => {
    const { world, environment, client } = scene();
    const { backend, way } = client();
    const face = new NamedLocks(backend, environment);
    const jobs = Array.from({ length: 200 }, () => face.withLock("job", () => undefined));
    await run(world, Promise.all(jobs));
    expect(way.requests).toBeLessThanOrEqual(1 + 200 * 2);
  });

  test("keeps the error of what ran, also when the release fails", async () => {
    const { world, environment, client } = scene();
    const { backend, way } = client();
    const face = new NamedLocks(backend, environment);
    const failing = face.withLock("job", () => {
      way.fault = "hang";
      throw new Error("the body");
    });
    expect((await run(world, rejection(failing))).message).toBe("the body");
  });

  test("says at the end that the lease was lost, when it was", async () => {
    const { world, environment, client } = scene();
    const { backend, way } = client();
    const face = new NamedLocks(backend, environment);
    const losing = face.withLock(
      "job",
      async (lease) => {
        way.fault = "hang";
        await new Promise<void>((resolve) => {
          lease.lost.addEventListener("abort", () => resolve(), { once: true });
        });
      },
      { ttlMs: 300 },
    );
    expect(await run(world, rejection(losing))).toBeInstanceOf(LeaseLostError);
  });

  test("takes several in one order, whatever order they are named in, so nobody waits for ever", async () => {
    const { world, environment, client } = scene();
    const names = ["a", "b", "c", "d", "e"];
    const workers = Array.from({ length: 6 }, async () => {
      const face = new NamedLocks(client().backend, environment);
      for (let i = 0; i < 10; i++) {
        const wanted = names.toSorted(() => world.random.next() - 0.5).slice(0, 3);
        await face.withLocks(
          wanted,
          (leases) => expect(leases.map(({ resource }) => resource)).toEqual(wanted),
          { waitMs: 60_000 },
        );
      }
    });
    await run(world, Promise.all(workers));
  });

  test("refuses to take out of order what could wait for ever, and only that", async () => {
    const { world, environment, client } = scene();
    const face = new NamedLocks(client().backend, environment);
    const nested = (first: string, then: string, options = {}): Promise<unknown> =>
      face.withLock(first, () => face.withLock(then, () => "both", options));
    expect(await run(world, nested("a", "b"))).toBe("both");
    expect(await run(world, rejection(nested("b", "a")))).toBeInstanceOf(UsageError);
    expect(await run(world, rejection(nested("a", "a")))).toBeInstanceOf(UsageError);
    expect(await run(world, nested("b", "a", { rank: 1 }))).toBe("both");
    expect(await run(world, nested("b", "a", { waitMs: 0 }))).toBe("both");
    expect(
      await run(
        world,
        face.withLock("a", () => "again"),
      ),
    ).toBe("again");
  });

  test("ends who waits when it is closed, and waits for who is in", async () => {
    const { world, environment, client } = scene();
    const face = new NamedLocks(client().backend, environment);
    let finish = (): void => undefined;
    const inside = face.withLock("job", () => new Promise<void>((resolve) => (finish = resolve)));
    await world.settle({ forMs: 50 });
    const waiting = rejection(face.withLock("job", () => undefined));
    const closing = face.close();
    expect(await run(world, waiting)).toBeInstanceOf(ClosedError);
    finish();
    await run(world, Promise.all([inside, closing]));
    expect(await rejection(face.withLock("job", () => undefined))).toBeInstanceOf(ClosedError);
  });
});

describe("a resilient backend", () => {
  test("answers at once while the store is dead, lets a holder try, and recovers by itself", async () => {
    const { world, environment, client } = scene();
    const { backend, way } = client();
    const locks = new ResilientLocks(backend, environment);
    const lease = await run(world, locks.acquire("r", { ttlMs: 60_000, waitMs: 0 }));
    way.fault = "hang";
    for (let i = 0; i < failuresMax; i++) await run(world, rejection(locks.read("r")));
    expect(locks.status).toMatchObject({ calls: "open", leases: "closed" });
    const [asked, nowMs] = [way.requests, world.nowMs];
    expect(await run(world, rejection(locks.read("r")))).toBeInstanceOf(LockUnavailableError);
    const acquiring = rejection(locks.acquire("x", { ttlMs: 100, waitMs: 5_000 }));
    expect(await run(world, acquiring)).toBeInstanceOf(LockUnavailableError);
    expect([way.requests, world.nowMs]).toEqual([asked, nowMs]);
    way.fault = "none";
    await run(world, lease.renew());
    const [written] = await run(world, locks.commit([{ lease, value: bytes("x") }], "id"));
    expect(text(written)).toBe("x");
    await world.settle({ forMs: openMsMin });
    expect(text(await run(world, locks.read("r")))).toBe("x");
    expect(locks.status.calls).toBe("closed");
  });

  test("does not count a no as a failure", async () => {
    const { world, environment, client } = scene();
    const locks = new ResilientLocks(client().backend, environment);
    await run(world, locks.acquire("r", { ttlMs: 60_000, waitMs: 0 }));
    for (let i = 0; i < failuresMax * 2; i++) {
      const refused = locks.acquire("r", { ttlMs: 100, waitMs: 0 });
      expect(await run(world, rejection(refused))).toBeInstanceOf(LockTimeoutError);
      const set = locks.compareAndSet("r", undefined, bytes("x"), `id ${i}`);
      expect(await run(world, rejection(set))).toBeInstanceOf(ConflictError);
    }
    expect(locks.status).toMatchObject({ calls: "closed", active: 0, queued: 0 });
  });
});
