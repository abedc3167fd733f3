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
import { startRedisMasters } from "../../src/cli/servers/redis.ts";
import type { Cluster } from "../../src/cli/servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { until } from "../../src/cli/servers/until.ts";
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
  const roundTrips = ({ proxies }: Behind): readonly number[] =>
    proxies.map(({ traffic }) => traffic.roundTrips);
  const forget = ({ proxies }: Behind): void => proxies.forEach((proxy) => proxy.forget());

  test("acquire, commit and release are four rounds, a compare-and-set two, a read one", async () => {
    const one = await behind();
    const { locks } = one;
    await (await locks.acquire("warm", wait)).release();
    forget(one);
    const lease = await locks.acquire("trips", wait);
    await locks.commit([{ lease, value: bytes("x") }], operationId());
    await lease.release();
    expect(roundTrips(one)).toEqual([4, 4, 4]);
    forget(one);
    await locks.read("trips");
    expect(roundTrips(one)).toEqual([1, 1, 1]);
    forget(one);
    await locks.compareAndSet("other", undefined, bytes("x"), operationId());
    expect(Math.max(...roundTrips(one))).toBeLessThanOrEqual(3 + 1); // it is given back behind the caller
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
    await administer(0, (admin) =>
      until("somebody stands in line", waitMs, async () => {
        return (await admin.zcard(`${keyBase}:line:left`)) > 0;
      }),
    );
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
