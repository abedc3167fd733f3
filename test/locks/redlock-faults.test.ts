/** What `redlockLocks` does while masters fail, and what it cannot promise. */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  LockUnavailableError,
  StoreRolledBackError,
  UnknownOutcomeError,
  UsageError,
} from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { redlockLocks, type RedlockLocksOptions } from "../../src/escalate/locks/redlock.ts";
import { startRedisMasters } from "../servers/redis.ts";
import type { Cluster } from "../servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { until } from "../servers/until.ts";
import { expectGrowing } from "./cases/leases.ts";
import { lockCases, runLockCase } from "./conformance.ts";
import { PausedHolder } from "./paused-holder.ts";
import { answerMs } from "./redis-subject.ts";
import { type Behind, openBehind } from "./redlock-behind.ts";
import { openRedlockStore } from "./redlock-subject.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";

const long = { ttlMs: 20_000, waitMs: 0 };
const waitMs = 10_000;
const wait = { ttlMs: 20_000, waitMs };
/** Those in line ask by themselves after this long; here it is too late. */
const askMs = 2_000;
const keyBase = "trellis/{trellis/locks}";

describe.skipIf(isServiceSkipped("redlock"))("redlockLocks", () => {
  let cluster: Cluster;
  const opened: AsyncDisposable[] = [];

  beforeAll(async () => {
    cluster = await startRedisMasters();
  });
  afterAll(async () => {
    await cluster.stop();
  });
  afterEach(async () => {
    for (const node of cluster.nodes) {
      if (node.pid === undefined) await node.restart();
      node.resume();
    }
    for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
    for (const i of cluster.nodes.keys()) await administer(i, (admin) => admin.flushall());
  });

  const open = (options: RedlockLocksOptions = {}): LockBackend => {
    const urls = options.clients ? {} : { urls: cluster.urls };
    const locks = redlockLocks({ ...urls, fencing: "durable", answerMs, ...options });
    opened.push(locks);
    return locks;
  };
  const behind = (): Promise<Behind> => openBehind(cluster.urls, (one) => void opened.push(one));
  const administer = async <T>(i: number, work: (admin: Redis) => Promise<T>): Promise<T> => {
    const admin = new Redis(cluster.node(i).url);
    try {
      return await work(admin);
    } finally {
      admin.disconnect();
    }
  };
  const inLine = (resource: string, master = 0, count = 1): Promise<void> =>
    administer(master, (admin) =>
      until(`${count} stand in line`, waitMs, async () => {
        return (await admin.zcard(`${keyBase}:line:${resource}`)) >= count;
      }),
    );
  const roundTrips = ({ proxies }: Behind): readonly number[] =>
    proxies.map(({ traffic }) => traffic.roundTrips);
  const forget = ({ proxies }: Behind): void => proxies.forEach((proxy) => proxy.forget());

  /** What it takes when no master is late: one that is costs a round more, and on a busy machine one may be. */
  const fewest = async (
    expected: readonly number[],
    count: (i: number) => Promise<readonly number[]>,
  ): Promise<void> => {
    const counts: (readonly number[])[] = [];
    for (let i = 0; i < 10; i++) {
      counts.push(await count(i));
      if (String(counts.at(-1)) === String(expected)) return;
    }
    expect.fail(`never ${expected.join()}, but ${counts.join("; ")}`);
  };

  test("acquire, commit and release are four rounds, a compare-and-set two, a read one", async () => {
    const one = await behind();
    const { locks } = one;
    await (await locks.acquire("warm", wait)).release();
    await fewest([4, 4, 4], async (i) => {
      forget(one);
      const lease = await locks.acquire(`trips ${i}`, wait);
      await locks.commit([{ lease, value: bytes("x") }], operationId());
      await lease.release();
      return roundTrips(one);
    });
    forget(one);
    await locks.read("trips 0");
    expect(roundTrips(one)).toEqual([1, 1, 1]);
    forget(one);
    await locks.compareAndSet("other", undefined, bytes("x"), operationId());
    expect(Math.max(...roundTrips(one))).toBeLessThanOrEqual(3 + 1); // it is given back behind the caller
  });

  test("the hand-over to the next waiter is two rounds: the release, and the one who comes", async () => {
    const [holder, waiter] = [await behind(), await behind()];
    await fewest([1, 1, 1, 1, 1, 1], async (i) => {
      const resource = `hand ${i}`;
      const lease = await holder.locks.acquire(resource, wait);
      const next = waiter.locks.acquire(resource, wait);
      for (const master of cluster.nodes.keys()) await inLine(resource, master);
      await until("the waiter has been answered", waitMs, () =>
        waiter.proxies.every(({ askingConnections }) => askingConnections === 0),
      );
      forget(holder);
      forget(waiter);
      await lease.release();
      const granted = await next;
      const rounds = [...roundTrips(holder), ...roundTrips(waiter)];
      expect(granted.token > lease.token).toBe(true);
      await waiter.locks.commit([{ lease: granted, value: bytes("x") }], operationId());
      expect(text(await holder.locks.read(resource))).toBe("x");
      await granted.release();
      return rounds;
    });
  });

  test("masters that have different ones first in line grant one of them after the other", async () => {
    const holder = open();
    const clients = [await behind(), await behind(), await behind()];
    for (const { locks } of clients) await locks.birth();
    const lease = await holder.acquire("lines", wait);
    const waiting = clients.map(async ({ locks, cut }, i) => {
      cut(i);
      const granted = await locks.acquire("lines", wait);
      await granted.release();
      return granted.token;
    });
    for (const i of cluster.nodes.keys()) await inLine("lines", i, 2);
    await lease.release();
    const tokens = await Promise.all(waiting);
    expect(new Set([lease.token, ...tokens]).size).toBe(4);
  }, 60_000);

  test("who stands still when it is handed the resource holds others up for a moment, not for a lease", async () => {
    const [holder, waiter] = [open(), await behind()];
    await waiter.locks.birth();
    const lease = await holder.acquire("slow", wait);
    const leaving = new AbortController();
    const slow = rejection(waiter.locks.acquire("slow", { ...wait, signal: leaving.signal }));
    await inLine("slow");
    for (const { requests, replies } of waiter.proxies) requests.fate = replies.fate = "lose";
    await lease.release();
    const startedMs = performance.now();
    await (await holder.acquire("slow", wait)).release();
    expect(performance.now() - startedMs).toBeLessThan(askMs);
    leaving.abort(new Error("no more"));
    await slow;
  });

  test("tokens grow over all pairs of masters, where the largest of a pair's counters would not", async () => {
    const clients = [await behind(), await behind(), await behind()];
    for (const { locks } of clients) await locks.birth();
    const tokens: bigint[] = [];
    for (let round = 0; round < 4; round++) {
      for (const [i, { locks, cut }] of clients.entries()) {
        cut(i);
        const lease = await locks.acquire("pairs", wait);
        tokens.push(lease.token);
        const expected = BigInt(tokens.length - 1);
        expect(lease.current?.version ?? 0n).toBe(expected);
        await locks.commit([{ lease, value: bytes(`${expected}`) }], operationId());
        await lease.release();
      }
    }
    expectGrowing(tokens);
  }, 60_000);

  test("a minority that is away, standing still or wiped costs no commit and no token", async () => {
    const locks = open();
    const tokens: bigint[] = [];
    let version = 0n;
    const write = async (): Promise<void> => {
      const lease = await locks.acquire("minority", wait);
      tokens.push(lease.token);
      expect(lease.current?.version ?? 0n).toBe(version);
      const [written] = await locks.commit([{ lease, value: bytes("x") }], operationId());
      version = written?.version ?? 0n;
      await lease.release();
    };
    await write();
    await cluster.node(0).kill();
    await write();
    await cluster.node(0).restart();
    await cluster.node(1).pause();
    await write();
    cluster.node(1).resume();
    await administer(2, (admin) => admin.flushall());
    await write();
    await write();
    expectGrowing(tokens);
    expect(version).toBe(5n);
    expect((await open().read("minority"))?.version).toBe(5n);
  }, 60_000);

  test("without a majority nothing is granted or written, and it is said that it may be", async () => {
    const locks = open();
    await locks.birth();
    await cluster.node(0).kill();
    await cluster.node(1).kill();
    try {
      expect(await rejection(locks.acquire("r", long))).toBeInstanceOf(LockUnavailableError);
      const set = locks.compareAndSet("r", undefined, bytes("x"), operationId());
      const refused = await rejection(set);
      expect(
        refused instanceof UnknownOutcomeError || refused instanceof LockUnavailableError,
      ).toBe(true);
    } finally {
      await cluster.node(0).restart();
      await cluster.node(1).restart();
    }
    expect((await locks.acquire("r", wait)).current).toBeUndefined();
  }, 60_000);

  test("masters of which most were wiped are refused", async () => {
    const locks = open();
    await locks.compareAndSet("wiped", undefined, bytes("x"), operationId());
    for (const i of [0, 2]) await administer(i, (admin) => admin.flushall());
    expect(await rejection(locks.read("wiped"))).toBeInstanceOf(StoreRolledBackError);
    expect(await rejection(locks.acquire("wiped", long))).toBeInstanceOf(StoreRolledBackError);
    const late = await rejection(open().read("wiped"));
    expect(late).toBeInstanceOf(LockUnavailableError);
    expect(late.message).toContain("wiped");
  });

  test("a write that a minority took is not lost once it was read, and not half believed before", async () => {
    const [writer, first, second] = [await behind(), await behind(), await behind()];
    await writer.locks.compareAndSet("r", undefined, bytes("before"), operationId());
    for (const { locks } of [first, second]) await locks.birth();
    const lease = await writer.locks.acquire("r", { ttlMs: 400, waitMs });
    writer.cut(0, 1);
    const unknown = await rejection(
      writer.locks.commit([{ lease, value: bytes("half") }], operationId()),
    );
    expect(unknown).toBeInstanceOf(UnknownOutcomeError);
    first.cut(0); // sees the one that took it, and carries it on
    const seen = text(await first.locks.read("r"));
    expect(seen).toBe("half");
    second.cut(2);
    expect(text(await second.locks.read("r"))).toBe(seen);
  }, 60_000);

  test("what a minority took is carried on by the next holder, before it is told of it", async () => {
    const [writer, first, second] = [await behind(), await behind(), await behind()];
    for (const { locks } of [writer, first, second]) await locks.birth();
    const lease = await writer.locks.acquire("r", { ttlMs: 400, waitMs });
    writer.cut(0, 1);
    await rejection(writer.locks.commit([{ lease, value: bytes("half") }], operationId()));
    first.cut(0);
    const next = await first.locks.acquire("r", wait);
    expect(text(next.current)).toBe("half");
    second.cut(2);
    expect(text(await second.locks.read("r"))).toBe("half");
  }, 60_000);

  const restarting = lockCases.filter(({ needs }) => needs?.includes("restartStore"));
  test.each(restarting.map((one) => [one.name, one] as const))(
    "%s",
    async (_name, one) => {
      const restartStore = async (): Promise<void> => {
        await Promise.all(cluster.nodes.map((node) => node.kill()));
        await Promise.all(cluster.nodes.map((node) => node.restart()));
      };
      const name = "redlock on masters of its own";
      const running = runLockCase(one, {
        ...{ name, ttlMs: 400 },
        open: () => openRedlockStore(cluster.urls, { restartStore }),
      });
      await expect(running).resolves.toBeUndefined();
    },
    60_000,
  );

  test("tokens grow over 30 kills of one master after the other", async () => {
    const locks = open();
    const tokens: bigint[] = [];
    for (let i = 0; i < 30; i++) {
      const lease = await locks.acquire("killed", wait);
      tokens.push(lease.token);
      expect(lease.current?.version ?? 0n).toBe(BigInt(i));
      await locks.commit([{ lease, value: bytes(`${i}`) }], operationId());
      await lease.release();
      await cluster.node(i % 3).kill();
      await cluster.node(i % 3).restart();
    }
    expectGrowing(tokens);
  }, 60_000);

  test("tokens grow and nothing is lost over 100 kills of all masters at once", async () => {
    const locks = open();
    const tokens: bigint[] = [];
    for (let i = 0; i < 100; i++) {
      const lease = await locks.acquire("all killed", wait);
      tokens.push(lease.token);
      expect(lease.current?.version ?? 0n).toBe(BigInt(i));
      await locks.commit([{ lease, value: bytes(`${i}`) }], operationId());
      if (i % 2 === 0) await lease.release();
      await Promise.all(cluster.nodes.map((node) => node.kill()));
      await Promise.all(cluster.nodes.map((node) => node.restart()));
      if (i % 2 === 1) await lease.release();
    }
    expectGrowing(tokens);
  }, 60_000);

  test("a master that the first use did not finish with is finished with by the next client", async () => {
    const birth = await open().birth();
    await administer(2, (admin) => admin.set(`${keyBase}:birth`, `~${birth}`));
    expect(await open().birth()).toBe(birth);
    expect(await administer(2, (admin) => admin.get(`${keyBase}:birth`))).toBe(birth);
  });

  test("a wiped master and one that does not answer do not make a commit a thing of another store", async () => {
    const writer = await behind();
    const lease = await writer.locks.acquire("r", wait);
    await administer(1, (admin) => admin.flushall());
    writer.cut(2);
    const unknown = await rejection(
      writer.locks.commit([{ lease, value: bytes("half") }], operationId()),
    );
    expect(unknown).toBeInstanceOf(UnknownOutcomeError);
    expect(text(await open().read("r"))).toBe("half");
  }, 60_000);

  test("what a minority took is over once somebody was granted without it, also if that one wrote nothing", async () => {
    const [writer, first, second] = [await behind(), await behind(), await behind()];
    await writer.locks.compareAndSet("r", undefined, bytes("before"), operationId());
    for (const { locks } of [first, second]) await locks.birth();
    const stale = await writer.locks.acquire("r", { ttlMs: 400, waitMs });
    writer.cut(0, 1);
    await rejection(writer.locks.commit([{ lease: stale, value: bytes("half") }], operationId()));
    first.cut(2); // does not see the one that took it
    const lease = await first.locks.acquire("r", wait);
    expect(text(lease.current)).toBe("before");
    await lease.release();
    second.cut(0);
    expect(text(await second.locks.read("r"))).toBe("before");
    expect(text((await second.locks.acquire("r", wait)).current)).toBe("before");
  }, 60_000);

  test("a holder process that stood still past its lease knows it at once, and commits nothing", async () => {
    const locks = open();
    await locks.birth();
    await using holder = await PausedHolder.start({
      ...{ backend: "redlock", maker: "redlockLocks" },
      options: { urls: cluster.urls, fencing: "durable" },
      ...{ resource: "stopped", ttlMs: 400 },
    });
    await holder.pause();
    const lease = await locks.acquire("stopped", wait);
    expect(lease.token > holder.token).toBe(true);
    expect(await holder.resume()).toEqual({ isLost: true, outcome: "TRELLIS_STALE_TOKEN" });
    expect(await locks.read("stopped")).toBeUndefined();
    await locks.commit([{ lease, value: bytes("fresh") }], operationId());
  });

  describe("what it cannot promise", () => {
    test("a master that lost its last second lets a token be granted twice, so fences are advisory", async () => {
      const [first, second] = [await behind(), await behind()];
      for (const { locks } of [first, second]) await locks.birth();
      first.cut(0);
      const lease = await first.locks.acquire("forgotten", wait);
      await administer(1, (admin) => admin.del(`${keyBase}:guard:forgotten`, `${keyBase}:token`));
      second.cut(2);
      const again = await second.locks.acquire("forgotten", wait);
      expect(again.token).toBe(lease.token);
      expect(lease.lost.aborted).toBe(false);
    });

    test("it is advisory unless told otherwise, and then each master must be durable", async () => {
      expect(redlockLocks({ urls: cluster.urls }).guarantees).toEqual({
        ...{ fencing: "advisory", faultTolerant: true, atomicCommits: false },
      });
      const accepting = redlockLocks({ urls: cluster.urls, acceptAdvisory: true });
      expect(accepting.guarantees.isAdvisoryAccepted).toBe(true);
      await administer(1, (admin) => admin.config("SET", "appendfsync", "everysec"));
      try {
        const refused = await rejection(open().acquire("r", long));
        expect(refused.message).toContain("appendfsync everysec");
        await (await open({ fencing: "advisory" }).acquire("r", wait)).release();
      } finally {
        await administer(1, (admin) => admin.config("SET", "appendfsync", "always"));
      }
    });
  });

  test("nothing is left of one that is closed, also if masters are away or stand still", async () => {
    const [holder, waiter] = [open(), open()];
    await holder.acquire("left", long);
    const waiting = rejection(waiter.acquire("left", wait));
    await inLine("left");
    await cluster.node(0).pause();
    await cluster.node(1).kill();
    await Promise.all([holder[Symbol.asyncDispose](), waiter[Symbol.asyncDispose]()]);
    expect(await waiting).toMatchObject({ code: "TRELLIS_CLOSED" });
    cluster.node(0).resume();
    await cluster.node(1).restart();
    const left = (): string[] =>
      process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCPSocket"));
    await until("all sockets are closed", waitMs, () => left().length === 0);
  });

  test("options that cannot be meant are refused", () => {
    expect(() => redlockLocks({})).toThrow(UsageError);
    expect(() => redlockLocks({ urls: cluster.urls.slice(1) })).toThrow("not 2");
  });
});
