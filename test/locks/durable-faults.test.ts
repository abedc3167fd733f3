/** An authority on a disk that crashes, refuses, or was set back. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { LockUnavailableError, StoreRolledBackError } from "../../src/errors.ts";
import { DurableAuthority } from "../../src/escalate/embedded/durable-authority.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { RecentSightings, RollbackWatch } from "../../src/escalate/rollback-watch.ts";
import type { StorageBackend } from "../../src/store/storage.ts";
import { levelStorage } from "../../src/store/storage/level.ts";
import { Machine } from "../witness/machine.ts";
import { FaultyDisk } from "../storage/faulty-disk.ts";
import { type OnWrite, WatchedEngine } from "../storage/watched-engine.ts";
import { type VirtualEnvironment, World } from "../simulation/virtual-environment.ts";
import { clientOf, Restarting } from "./durable-subject.ts";
import { run } from "./scene.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";

const seed = 1;
const ttlMs = 10_000;

/** A disk, its authority and a client, in virtual time. */
interface Place {
  readonly world: World;
  readonly environment: VirtualEnvironment;
  readonly disk: FaultyDisk;
  readonly authority: Restarting;
  readonly client: LockBackend;
}

async function place(onWrite: OnWrite = (go) => go()): Promise<Place> {
  const world = new World(seed);
  const environment = world.environment();
  const disk = new FaultyDisk(seed);
  const storage: StorageBackend = {
    open: async () => new WatchedEngine(await disk.backend(environment).open(), onWrite),
  };
  const authority = new Restarting(storage, environment);
  await authority.start();
  return { world, environment, disk, authority, client: clientOf(authority, { environment }) };
}

async function hundredRestarts(storage: StorageBackend): Promise<bigint[]> {
  const tokens: bigint[] = [];
  const authority = new Restarting(storage);
  for (let restart = 0; restart < 100; restart++) {
    await authority.start();
    const client = clientOf(authority);
    for (const resource of ["a", "b"]) {
      const lease = await client.acquire(resource, { ttlMs: 60_000, waitMs: 10_000 });
      tokens.push(lease.token);
      expect(lease.current?.version ?? 0n).toBe(BigInt(restart));
      await client.commit([{ lease, value: bytes(`${restart}`) }], operationId());
      await lease.release();
    }
    await client[Symbol.asyncDispose]();
    await authority.stop();
  }
  return tokens;
}

const isGrowing = (tokens: readonly bigint[]): boolean =>
  tokens.every((token, i) => i === 0 || token > (tokens[i - 1] ?? 0n));

describe("tokens grow over 100 restarts", () => {
  test("in memory", async () => {
    expect(await hundredRestarts(new FaultyDisk(seed))).toSatisfy(isGrowing);
  });

  test("in a directory", { timeout: 60_000 }, async () => {
    const directory = await mkdtemp(join(tmpdir(), "trellis-authority-"));
    try {
      expect(await hundredRestarts(levelStorage(directory))).toSatisfy(isGrowing);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("a crash", () => {
  /** What the one who asks knows when the machine fails. */
  interface Known {
    token: bigint;
    /** Answered, and asked: of the two accounts, which are always written together. */
    answered: bigint;
    asked: bigint;
    id: string;
  }

  async function transfer(client: LockBackend, known: Known): Promise<void> {
    for (let i = 0; i < 6; i++) {
      const leases = [];
      for (const resource of ["a", "b"]) {
        const lease = await client.acquire(resource, { ttlMs, waitMs: 0 });
        expect(lease.token).toBeGreaterThan(known.token);
        known.token = lease.token;
        leases.push(lease);
      }
      known.asked++;
      known.id = operationId();
      const value = bytes(`${known.asked}`);
      await client.commit(
        leases.map((lease) => ({ lease, value })),
        known.id,
      );
      known.answered = known.asked;
      for (const lease of leases) await lease.release();
    }
  }

  test("at any write leaves what was answered, and of the rest all or nothing", async () => {
    let isOver = false;
    let crashes = 0;
    for (let at = 1; !isOver; at++) {
      for (const moment of ["before", "within", "after"] as const) {
        let writes = 0;
        const { world, environment, disk, authority, client } = await place(async (go) => {
          writes++;
          if (writes === at && moment === "before") return crash();
          const written = go();
          if (writes === at && moment === "within") return crash();
          await written;
          if (writes === at) return crash();
        });
        let hasCrashed = false;
        const crash = (): Promise<never> => {
          hasCrashed = true;
          disk.crash();
          return new Promise(() => undefined);
        };
        const known: Known = { token: 0n, answered: 0n, asked: 0n, id: "" };
        let isDone = false;
        void transfer(client, known).then(
          () => (isDone = true),
          () => undefined,
        );
        await world.settle({ until: () => hasCrashed || isDone, forMs: 60_000 });
        isOver = isDone;
        if (isDone) break;
        crashes++;
        writes = Number.POSITIVE_INFINITY;
        await authority.start();
        const where = `a crash ${moment} write ${at}`;
        const other = clientOf(authority, { environment });
        const found = await run(world, Promise.all(["a", "b"].map((name) => other.read(name))));
        const [a = 0n, b = 0n] = found.map((guarded) => guarded?.version);
        expect(a, `at ${where}`).toBe(b);
        expect([known.answered, known.asked], `at ${where}`).toContain(a);
        expect(found.map(text), `at ${where}`).toEqual(
          a > 0n ? [`${a}`, `${a}`] : [undefined, undefined],
        );
        for (const name of ["a", "b"]) {
          const lease = await run(world, other.acquire(name, { ttlMs, waitMs: ttlMs * 2 }));
          expect(lease.token, `at ${where}`).toBeGreaterThan(known.token);
        }
      }
    }
    // Each of six rounds takes five writes that are waited for, and there is the first.
    expect(crashes).toBe(3 * 31);
  }, 60_000);

  test("keeps others out for as long as the lease may have had left, and its holder goes on", async () => {
    const { world, disk, authority, client, environment } = await place();
    const lease = await run(world, client.acquire("r", { ttlMs, waitMs: 0 }));
    await world.settle({ forMs: ttlMs / 2 });
    await run(world, lease.renew());
    disk.crash();
    await world.settle({ forMs: 1_000 });
    await authority.start();
    const other = clientOf(authority, { environment });
    const refused = rejection(other.acquire("r", { ttlMs, waitMs: 0 }));
    expect(await run(world, refused)).toMatchObject({ code: "TRELLIS_LOCK_TIMEOUT" });
    const set = rejection(other.compareAndSet("r", undefined, bytes("x"), operationId()));
    expect(await run(world, set)).toMatchObject({ code: "TRELLIS_CONFLICT", held: true });
    await run(world, lease.renew());
    await run(world, client.commit([{ lease, value: bytes("mine") }], operationId()));
    const restartedMs = world.nowMs;
    const next = await run(world, other.acquire("r", { ttlMs, waitMs: ttlMs * 2 }));
    expect(lease.lost.aborted).toBe(true);
    expect(world.nowMs - restartedMs).toBeGreaterThan(ttlMs - 100);
    expect(next.token).toBeGreaterThan(lease.token);
    const stale = rejection(client.commit([{ lease, value: bytes("late") }], operationId()));
    expect(await run(world, stale)).toMatchObject({ code: "TRELLIS_STALE_TOKEN" });
  });

  test("forgets no operation that was answered: asking again has no second effect", async () => {
    const { world, disk, authority, client } = await place();
    const id = operationId();
    const once = (): Promise<unknown> =>
      run(world, client.compareAndSet("r", undefined, bytes("x"), id));
    expect(await once()).toMatchObject({ version: 1n });
    disk.crash();
    await authority.start();
    expect(await once()).toMatchObject({ version: 1n });
    expect(await run(world, client.read("r"))).toMatchObject({ version: 1n });
  });
});

describe("a disk that refuses", () => {
  test("refuses the request surely, leaves nothing half done, and others go on when it does not", async () => {
    const { world, disk, client } = await place();
    await run(world, client.birth());
    const lease = await run(world, client.acquire("a", { ttlMs, waitMs: 0 }));
    const second = await run(world, client.acquire("b", { ttlMs, waitMs: 0 }));
    disk.isFull = true;
    const sections = [lease, second].map((one) => ({ lease: one, value: bytes("x") }));
    const attempts = [
      () => client.commit(sections, "id"),
      () => client.compareAndSet("c", undefined, bytes("x"), operationId()),
      () => client.acquire("d", { ttlMs, waitMs: 0 }),
      () => lease.release(),
    ];
    for (const attempt of attempts) {
      expect(await run(world, rejection(attempt()))).toBeInstanceOf(LockUnavailableError);
    }
    for (const name of ["a", "b", "c", "d"]) {
      expect(await run(world, client.read(name)), `at ${name}`).toBeUndefined();
    }
    disk.isFull = false;
    const guards = await run(world, client.commit(sections.slice(1), "id"));
    expect(guards).toMatchObject([{ version: 1n }]);
    await run(world, client.acquire("d", { ttlMs, waitMs: 0 }));
  });

  test("refuses also what rests on what it refused", async () => {
    const { world, disk, authority, client } = await place();
    const birth = await run(world, client.birth());
    const set = (expected: bigint, id: string): Promise<unknown> =>
      authority
        .compareAndSet({ birth, resource: "r", expected, value: bytes(id), operationId: id })
        .then(
          (reply) => reply.kind,
          () => "refused",
        );
    disk.failures = 1;
    const first = set(0n, "1");
    // While the first is being written.
    await world.settle({ until: () => disk.isBusy, forMs: 1_000 });
    const seen = authority.read({ birth, resource: "r" }).then(
      () => "told",
      () => "refused",
    );
    const behind = set(1n, "2");
    expect(await run(world, Promise.all([first, seen, behind]))).toEqual([
      "refused",
      "refused",
      "refused",
    ]);
    expect(await run(world, set(0n, "3"))).toBe("written");
  });

  test("at the first request is asked again by the next one", async () => {
    const { world, disk, client } = await place();
    disk.isFull = true;
    expect(await run(world, rejection(client.birth()))).toBeInstanceOf(LockUnavailableError);
    disk.isFull = false;
    await run(world, client.birth());
  });
});

describe("the disk", () => {
  /** Writes of an authority whose disk takes its time. */
  async function counted(): Promise<Place & { readonly writes: () => number }> {
    let writes = 0;
    const here = await place((go) => {
      writes++;
      return go();
    });
    return { ...here, writes: () => writes };
  }

  test("has what an answer says before it is said", async () => {
    const { world, client, disk } = await counted();
    await run(world, client.birth());
    disk.delays = { writeMsMax: 0, syncMsMax: 0 };
    const before = disk.image().records.size;
    const writing = client.compareAndSet("r", undefined, bytes("x"), operationId());
    await run(world, writing);
    expect(disk.image().records.size).toBe(before + 1);
    disk.crash();
    expect(disk.image().records.size).toBe(before + 1);
  });

  test("is written once for what many ask at the same time", async () => {
    const { world, client, writes } = await counted();
    await run(world, client.birth());
    const before = writes();
    const many = Array.from({ length: 200 }, (_, i) =>
      client.compareAndSet(`r${i}`, undefined, bytes("x"), operationId()),
    );
    await run(world, Promise.all(many));
    expect(writes() - before).toBeLessThanOrEqual(2);
  });

  test("is not written by renewals, by readings, nor by an authority that nobody asks", async () => {
    const { world, client, authority, writes } = await counted();
    expect(writes()).toBe(0);
    const lease = await run(world, client.acquire("r", { ttlMs, waitMs: 0 }));
    const before = writes();
    for (let i = 0; i < 5; i++) {
      await world.settle({ forMs: ttlMs / 2 });
      await run(world, lease.renew());
      await run(world, client.read("r"));
    }
    expect(writes()).toBe(before);
    await run(world, authority.stop());
    // That it was closed.
    expect(writes()).toBe(before + 1);
    await authority.start();
    await run(world, authority.stop());
    expect(writes()).toBe(before + 1);
  });

  test("keeps nothing of locks that were given back and never written under", async () => {
    const { world, client, disk } = await place();
    await run(world, client.birth());
    const before = disk.image().records.size;
    for (let i = 0; i < 20; i++) {
      const lease = await run(world, client.acquire(`job/${i}`, { ttlMs, waitMs: 0 }));
      await run(world, lease.release());
    }
    expect(disk.image().records.size).toBe(before);
  });
});

test("a directory that was set back is refused by who saw more, and its tokens grow on", async () => {
  const { world, client, disk, authority, environment } = await place();
  const watch = new RollbackWatch(client, new RecentSightings());
  await run(world, watch.compareAndSet("r", undefined, bytes("1"), operationId()));
  await run(world, authority.stop());
  const image = disk.image();
  await authority.start();
  await run(world, watch.compareAndSet("r", 1n, bytes("2"), operationId()));
  const lease = await run(world, watch.acquire("r", { ttlMs, waitMs: 0 }));
  await world.settle({ forMs: 5_000 });
  disk.restore(image);
  await authority.start({ isExclusive: true });
  expect(await run(world, rejection(watch.read("r")))).toBeInstanceOf(StoreRolledBackError);
  const stranger = clientOf(authority, { environment });
  const next = await run(world, stranger.acquire("r", { ttlMs, waitMs: 0 }));
  expect(next.token).toBeGreaterThan(lease.token);
});

test("a closed authority refuses surely", async () => {
  const disk = new FaultyDisk(seed);
  const world = new World(seed);
  const environment = world.environment();
  const witness = new Machine().process();
  const authority = new DurableAuthority({ engine: await disk.open(), environment, witness });
  const client = clientOf(authority, { environment });
  await run(world, client.birth());
  await authority.close();
  const set = client.compareAndSet("r", undefined, bytes("x"), operationId());
  expect(await run(world, rejection(set))).toBeInstanceOf(LockUnavailableError);
});
