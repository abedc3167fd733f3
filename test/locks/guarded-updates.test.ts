/** Callers of one process and of many that change one value. */
import { describe, expect, test } from "vitest";
import {
  ClosedError,
  ConflictError,
  LockTimeoutError,
  UnknownOutcomeError,
} from "../../src/errors.ts";
import { GuardedUpdates } from "../../src/escalate/guarded-updates.ts";
import { run, scene } from "./scene.ts";
import { bytes, rejection, text } from "./trial.ts";

const increment = (current: Uint8Array | undefined): { value: Uint8Array; result: number } => {
  const next = Number(new TextDecoder().decode(current ?? bytes("0"))) + 1;
  return { value: bytes(`${next}`), result: next };
};

describe("guarded updates", () => {
  test("of one process are combined: a thousand of them are a few writes, and each counts", async () => {
    const { world, environment, client } = scene();
    const { backend, way } = client();
    const updates = new GuardedUpdates(backend, environment);
    const all = Array.from({ length: 1_000 }, () => updates.update("n", increment));
    const results = (await run(world, Promise.all(all))).map(({ result }) => result);
    expect(results).toEqual(Array.from({ length: 1_000 }, (_, i) => i + 1));
    expect(way.requests).toBe(3); // birth, read, one write
    await run(world, updates.update("n", increment));
    expect(way.requests).toBe(4);
  });

  test("of many processes all count, and none starves", async () => {
    const { world, environment, client } = scene();
    const processes = Array.from(
      { length: 8 },
      () => new GuardedUpdates(client().backend, environment),
    );
    const all = processes.flatMap((updates) =>
      Array.from({ length: 30 }, async () => {
        for (let i = 0; i < 3; i++) await updates.update("n", increment, { waitMs: 60_000 });
      }),
    );
    await run(world, Promise.all(all));
    expect(text(await run(world, client().backend.read("n")))).toBe("720");
  });

  test.each([2, 3, 6, 12])(
    "of %i processes that all want one value at full speed get their share of it, each",
    async (count) => {
      const { world, environment, client } = scene();
      const endMs = world.nowMs + 12_000;
      const all = Array.from({ length: count }, async () => {
        const updates = new GuardedUpdates(client().backend, environment);
        let share = 0;
        for (; world.nowMs < endMs; share++) {
          await updates.update("n", increment, { waitMs: 60_000 });
        }
        return share;
      });
      const shares = await run(world, Promise.all(all));
      const sum = shares.reduce((left, right) => left + right);
      // One write can go through in each round trip of 3 ms.
      expect(sum).toBeGreaterThan((12_000 / 3) * 0.5);
      expect(Math.min(...shares)).toBeGreaterThan(sum / shares.length / 3);
      expect(text(await run(world, client().backend.read("n")))).toBe(`${sum}`);
    },
  );

  test("of one that is ten times as far away go through too, in the time that they have", async () => {
    const { world, environment, client } = scene();
    const endMs = world.nowMs + 20_000;
    const write = async (awayMs: number): Promise<number> => {
      const updates = new GuardedUpdates(client(awayMs).backend, environment);
      let share = 0;
      for (; world.nowMs < endMs; share++) await updates.update("n", increment, { waitMs: 2_000 });
      return share;
    };
    const [near, far] = await run(world, Promise.all([write(3), write(30)]));
    expect(near).toBeGreaterThan(1_000);
    expect(far).toBeGreaterThan(20);
  });

  test("that write nothing are answered while others write and more callers come all the time", async () => {
    const { world, environment, client } = scene();
    const endMs = world.nowMs + 2_000;
    const [quick, updates] = [client(1), client()].map(
      ({ backend }) => new GuardedUpdates(backend, environment),
    );
    const writing = (async () => {
      while (world.nowMs < endMs) await quick?.update("n", increment, { waitMs: 60_000 });
    })();
    const lastedMs: number[] = [];
    const looks: Promise<void>[] = [];
    const look = async (): Promise<void> => {
      const begunMs = world.nowMs;
      await updates?.update("n", () => ({ result: 0 }), { waitMs: 1_000 });
      lastedMs.push(world.nowMs - begunMs);
    };
    const come = (): void => {
      if (world.nowMs >= endMs) return;
      looks.push(look());
      environment.schedule(2.5, come);
    };
    come();
    await run(world, writing);
    await run(world, Promise.all(looks));
    expect(lastedMs.length).toBeGreaterThan(500);
    expect(Math.max(...lastedMs)).toBeLessThan(30);
  });

  test("that cannot wait for the end of a rest end it", async () => {
    const { world, environment, client } = scene();
    const updates = new GuardedUpdates(client(40).backend, environment);
    for (let i = 0; i < 4; i++) await run(world, updates.update("n", increment));
    const patient = updates.update("n", increment);
    await world.settle({ forMs: 5 });
    expect((await run(world, updates.update("n", increment, { waitMs: 20 }))).result).toBe(6);
    expect((await run(world, patient)).result).toBe(5);
  });

  test("stand in line behind a lease that is held, and go on after it", async () => {
    const { world, environment, client } = scene();
    const lease = await run(world, client().backend.acquire("n", { ttlMs: 10_000, waitMs: 0 }));
    const updates = new GuardedUpdates(client().backend, environment);
    const updating = updates.update("n", increment, { waitMs: 60_000 });
    await world.settle({ forMs: 500 });
    await run(world, lease.release());
    const freedMs = world.nowMs;
    expect((await run(world, updating)).result).toBe(1);
    expect(world.nowMs - freedMs).toBeLessThan(20);
  });

  test("end in time behind a lease that is never released, with nothing written", async () => {
    const { world, environment, client } = scene();
    await run(world, client().backend.acquire("n", { ttlMs: 60_000, waitMs: 0 }));
    const updates = new GuardedUpdates(client().backend, environment);
    const late = updates.update("n", increment, { waitMs: 200 });
    expect(await run(world, rejection(late))).toBeInstanceOf(LockTimeoutError);
    expect(world.nowMs).toBeLessThan(400);
  });

  test("that throw or write nothing are answered by what the store confirms, and do no harm to others", async () => {
    const { world, environment, client } = scene();
    const [mine, theirs] = [client(), client()];
    const updates = new GuardedUpdates(mine.backend, environment);
    await run(world, updates.update("n", increment));
    await run(world, theirs.backend.compareAndSet("n", 1n, bytes("41"), "theirs"));
    // What is known here is outdated: neither may be answered from it.
    const look = updates.update("n", (current) => ({ result: new TextDecoder().decode(current) }));
    expect(await run(world, look)).toMatchObject({ result: "41", guarded: { version: 2n } });
    await run(world, theirs.backend.compareAndSet("n", 2n, bytes("42"), "again"));
    const seen: string[] = [];
    const refusing = updates.update("n", (current) => {
      seen.push(new TextDecoder().decode(current));
      throw new RangeError("no");
    });
    const other = updates.update("n", increment);
    expect(await run(world, rejection(refusing))).toBeInstanceOf(RangeError);
    expect(seen.at(-1)).toBe("42");
    expect((await run(world, other)).result).toBe(43);
  });

  test("that were overtaken go on from what the refusal said, without a read", async () => {
    const { world, environment, client } = scene();
    const [mine, theirs] = [client(), client()];
    const updates = new GuardedUpdates(mine.backend, environment);
    await run(world, updates.update("n", increment));
    await run(world, theirs.backend.compareAndSet("n", 1n, bytes("41"), "theirs"));
    const before = mine.way.requests;
    expect((await run(world, updates.update("n", increment))).result).toBe(42);
    expect(mine.way.requests - before).toBe(2);
  });

  test("that came after a refusal was asked for are not answered by what it said", async () => {
    const { world, environment, client } = scene();
    const [mine, theirs] = [client(), client()];
    const updates = new GuardedUpdates(mine.backend, environment);
    await run(world, updates.update("n", increment));
    await run(world, theirs.backend.compareAndSet("n", 1n, bytes("41"), "theirs"));
    // The refusal of this one says 41; whoever calls on its way back must see what was written before that.
    let runs = 0;
    const overtaken = updates.update("n", (current) =>
      ++runs === 1 ? increment(current) : { result: -1 },
    );
    await world.settle({ forMs: 1 });
    const writing = theirs.backend.compareAndSet("n", 2n, bytes("99"), "again");
    await world.settle({ forMs: 1 });
    const look = updates.update("n", (current) => ({ result: new TextDecoder().decode(current) }));
    expect(await run(world, look)).toMatchObject({ result: "99", guarded: { version: 3n } });
    await run(world, Promise.all([overtaken, writing]));
  });

  test("that are exclusive are so too if those before them leave while the store is asked", async () => {
    const { world, environment, client } = scene();
    const updates = new GuardedUpdates(client().backend, environment);
    const rival = client().backend;
    const leaving = new AbortController();
    const left = rejection(updates.update("n", increment, { signal: leaving.signal }));
    const refusals: unknown[] = [];
    const alone = updates.update(
      "n",
      async (current) => {
        refusals.push(await rejection(rival.compareAndSet("n", undefined, bytes("9"), "rival")));
        return increment(current);
      },
      { exclusive: true },
    );
    await world.settle({ forMs: 1 });
    leaving.abort(new RangeError("left"));
    expect(await run(world, left)).toBeInstanceOf(RangeError);
    expect((await run(world, alone)).result).toBe(1);
    expect(refusals).toEqual([expect.any(ConflictError)]);
  });

  test("that are exclusive run under a lease, once", async () => {
    const { world, environment, client } = scene();
    const updates = new GuardedUpdates(client().backend, environment);
    const rival = client().backend;
    let runs = 0;
    let refused: unknown;
    const updating = updates.update(
      "n",
      async (current) => {
        runs++;
        refused = await rejection(rival.compareAndSet("n", undefined, bytes("9"), "rival"));
        return increment(current);
      },
      { exclusive: true },
    );
    expect((await run(world, updating)).result).toBe(1);
    expect([runs, refused]).toEqual([1, expect.any(ConflictError)]);
  });

  test("are told when the outcome is unknown, and go on when the store is back", async () => {
    const { world, environment, client } = scene();
    const { backend, way } = client();
    const updates = new GuardedUpdates(backend, environment);
    await run(world, updates.update("n", increment));
    way.fault = "lose-replies";
    const unknown = rejection(updates.update("n", increment));
    expect(await run(world, unknown)).toBeInstanceOf(UnknownOutcomeError);
    way.fault = "none";
    expect((await run(world, updates.update("n", increment))).result).toBe(3);
  });

  test("leave the line when they are aborted, and when it is closed", async () => {
    const { world, environment, client } = scene();
    const { backend, way } = client();
    const updates = new GuardedUpdates(backend, environment);
    await run(world, updates.update("n", increment));
    way.fault = "hang";
    const stuck = rejection(updates.update("n", increment));
    await world.settle({ forMs: 5 });
    const leaving = new AbortController();
    const left = rejection(updates.update("n", increment, { signal: leaving.signal }));
    const closed = rejection(updates.update("n", increment));
    leaving.abort(new Error("left"));
    expect((await left).message).toBe("left");
    const closing = updates.close();
    expect(await closed).toBeInstanceOf(ClosedError);
    expect(await run(world, stuck)).toBeInstanceOf(UnknownOutcomeError);
    await run(world, closing);
    expect(await rejection(updates.update("n", increment))).toBeInstanceOf(ClosedError);
  });
});
