/** What `redisLocks` does on a server that is killed, paused, wiped and badly set, counted at a proxy. */
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { StoreRolledBackError, UsageError } from "../../src/errors.ts";
import { type LockBackend, operationsRemembered } from "../../src/escalate/locks.ts";
import { redisLocks, type RedisLocksOptions } from "../../src/escalate/locks/redis.ts";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import { startRedis } from "../../src/cli/servers/redis.ts";
import type { Server } from "../../src/cli/servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { until } from "../../src/cli/servers/until.ts";
import { expectGrowing } from "./cases/leases.ts";
import { lockCases, runLockCase } from "./conformance.ts";
import { PausedHolder } from "./paused-holder.ts";
import { answerMs, openRedisStore } from "./redis-subject.ts";
import { aborted, bytes, operationId, rejection, text } from "./trial.ts";

const long = { ttlMs: 20_000, waitMs: 0 };
const waitMs = 10_000;
/** Sooner nobody in line asks by himself. */
const askMs = 2_000;

describe.skipIf(isServiceSkipped("redis"))("redisLocks", () => {
  let server: Server;
  const opened: AsyncDisposable[] = [];

  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(async () => {
    await server.stop();
  });
  afterEach(async () => {
    if (server.pid === undefined) await server.restart();
    server.resume();
    for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  });

  const open = (options: RedisLocksOptions = {}): LockBackend => {
    const locks = redisLocks({
      ...(options.client ? {} : { url: server.url }),
      answerMs,
      ...options,
    });
    opened.push(locks);
    return locks;
  };
  const behindProxy = async (): Promise<{ proxy: Proxy; locks: LockBackend }> => {
    const proxy = await Proxy.start(server.url);
    opened.push(proxy);
    return { proxy, locks: open({ url: proxy.through(server.url) }) };
  };
  const administer = async <T>(work: (admin: Redis) => Promise<T>): Promise<T> => {
    const admin = new Redis(server.url);
    try {
      return await work(admin);
    } finally {
      admin.disconnect();
    }
  };
  /** Somebody waits. */
  const inLine = (resource: string): Promise<void> =>
    administer((admin) =>
      until(`someone stands in line for ${resource}`, waitMs, async () => {
        return (await admin.zcard(`trellis/{trellis/locks}:line:${resource}`)) > 0;
      }),
    );
  /** Sets the server for one test. */
  const set = async (settings: Readonly<Record<string, string>>): Promise<void> => {
    const before: [string, string][] = [];
    await administer(async (admin) => {
      for (const [name, value] of Object.entries(settings)) {
        before.push([name, String((await admin.config("GET", name))[1])]);
        await admin.config("SET", name, value);
      }
    });
    opened.push({
      [Symbol.asyncDispose]: () =>
        administer(async (admin) => {
          for (const [name, value] of before) await admin.config("SET", name, value);
        }),
    });
  };

  describe("round trips", () => {
    test("acquire, commit and release are three, also when one might have waited", async () => {
      const { proxy, locks } = await behindProxy();
      await (await locks.acquire("warm", { ...long, waitMs })).release();
      proxy.forget();
      const lease = await locks.acquire("trips", { ...long, waitMs });
      await locks.commit([{ lease, value: bytes("x") }], operationId());
      await lease.release();
      expect(proxy.traffic.roundTrips).toBe(3);
    });

    test("a compare-and-set is one, and so is an operation on what is known", async () => {
      const { proxy, locks } = await behindProxy();
      await locks.operate?.("sum", { kind: "add", by: 1n }, operationId());
      proxy.forget();
      await locks.operate?.("sum", { kind: "add", by: 1n }, operationId());
      expect(proxy.traffic.roundTrips).toBe(1);
      await locks.compareAndSet("set", undefined, bytes("x"), operationId());
      expect(proxy.traffic.roundTrips).toBe(2);
    });

    test("the hand-over to the next waiter is two: the release, and the one who comes", async () => {
      const holder = await behindProxy();
      const waiter = await behindProxy();
      const lease = await holder.locks.acquire("hand", long);
      const next = waiter.locks.acquire("hand", { ...long, waitMs });
      await inLine("hand");
      holder.proxy.forget();
      waiter.proxy.forget();
      const startedMs = performance.now();
      await lease.release();
      await (await next).release();
      expect(performance.now() - startedMs).toBeLessThan(askMs); // word came, nobody had to ask
      expect(holder.proxy.traffic.roundTrips).toBe(1);
      expect(waiter.proxy.traffic.roundTrips).toBe(1 + 1); // it has released too
    });
  });

  describe("what the server is set to", () => {
    test.each([
      ["appendonly", "no"],
      ["appendfsync", "everysec"],
      ["no-appendfsync-on-rewrite", "yes"],
    ])("is refused by name when %s is %s, unless less was promised", async (name, value) => {
      await set({ [name]: value });
      const refused = await rejection(open().acquire("r", long));
      expect(refused).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
      expect(refused.message).toContain(`${name} ${value}`);
      const less = open({ fencing: "until-restart" });
      expect(less.guarantees.fencing).toBe("until-restart");
      await (await less.acquire("r", long)).release();
    });

    test("is refused by name when keys may be evicted, whatever was promised", async () => {
      await set({ "maxmemory-policy": "allkeys-lru" });
      for (const fencing of ["durable", "until-restart"] as const) {
        const refused = await rejection(open({ fencing }).read("r"));
        expect(refused.message).toContain("maxmemory-policy allkeys-lru");
      }
    });

    test("is refused when it cannot be seen", async () => {
      await administer((admin) =>
        admin.acl("SETUSER", "blind", "on", ">secret", "~*", "&*", "+@all", "-config"),
      );
      const url = server.url.replace("redis://", "redis://blind:secret@");
      expect((await rejection(open({ url }).read("r"))).message).toContain("CONFIG GET");
      expect(await open({ url, fencing: "until-restart" }).read("r")).toBeUndefined();
    });
  });

  describe("a server that fails", () => {
    test("tokens and versions grow over 100 kills, and nothing acknowledged is lost", async () => {
      const locks = open();
      const tokens: bigint[] = [];
      for (let i = 0; i < 100; i++) {
        const lease = await locks.acquire("killed", { ttlMs: 20_000, waitMs: 0 });
        tokens.push(lease.token);
        expect(lease.current?.version ?? 0n).toBe(BigInt(i));
        await locks.commit([{ lease, value: bytes(`${i}`) }], operationId());
        await lease.release();
        await server.kill();
        await server.restart();
      }
      expectGrowing(tokens);
      expect(text(await locks.read("killed"))).toBe("99");
    }, 60_000);

    const restarting = lockCases.filter(({ needs }) => needs?.includes("restartStore"));
    test.each(restarting.map((one) => [one.name, one] as const))("%s", async (_name, one) => {
      const restartStore = async (): Promise<void> => {
        await server.kill();
        await server.restart();
      };
      const name = "redis on a server of its own";
      const running = runLockCase(one, {
        name,
        ttlMs: 300,
        open: () => openRedisStore(server.url, { restartStore }),
      });
      await expect(running).resolves.toBeUndefined();
    });

    test("while it stands still a lease is lost in time, and afterwards all goes on", async () => {
      const locks = open();
      const lease = await locks.acquire("paused", { ttlMs: 400, waitMs: 0 });
      const startedMs = performance.now();
      await server.pause();
      const renewal = rejection(lease.renew());
      await aborted(lease.lost);
      expect(performance.now() - startedMs).toBeLessThan(500);
      await renewal;
      expect(await rejection(locks.read("paused"))).toMatchObject({
        code: "TRELLIS_LOCK_UNAVAILABLE",
      });
      server.resume();
      const next = await locks.acquire("paused", { ...long, waitMs });
      expect(next.token > lease.token).toBe(true);
    });

    test("a wiped server is refused, also when it was wiped while it was away", async () => {
      const locks = open();
      const lease = await locks.acquire("wiped", long);
      await administer((admin) => admin.flushall());
      await server.restart();
      const attempts = [
        () => locks.read("wiped"),
        () => locks.commit([{ lease, value: bytes("x") }], operationId()),
        () => locks.compareAndSet("wiped", undefined, bytes("x"), operationId()),
        () => locks.acquire("wiped", long),
        () => locks.birth(),
      ];
      for (const attempt of attempts) {
        expect(await rejection(attempt())).toBeInstanceOf(StoreRolledBackError);
      }
      expect(await open().read("wiped")).toBeUndefined();
    });

    test("records of another birth are refused, though the birth of the store is the known one", async () => {
      const locks = open();
      await locks.compareAndSet("foreign", undefined, bytes("x"), operationId());
      await administer((admin) =>
        admin.hset("trellis/{trellis/locks}:guard:foreign", "b", "another"),
      );
      expect(await rejection(locks.read("foreign"))).toBeInstanceOf(StoreRolledBackError);
    });

    test("tokens go on above what a resource has seen when the counter is gone", async () => {
      const locks = open();
      const tokens: bigint[] = [];
      for (const counter of ["9007199254740993", undefined]) {
        await administer(async (admin) => {
          const key = "trellis/{trellis/locks}:token";
          if (counter === undefined) await admin.del(key);
          else await admin.set(key, counter);
        });
        for (let i = 0; i < 2; i++) {
          const lease = await locks.acquire("counted", { ...long, waitMs });
          tokens.push(lease.token);
          await locks.commit([{ lease, value: bytes("x") }], operationId());
          await lease.release();
        }
      }
      expectGrowing(tokens);
      expect(tokens[0]).toBe(9_007_199_254_740_994n);
    });

    test("what is kept of one resource and of idle ones is bounded", async () => {
      const locks = open();
      for (let i = 0; i < 3 * operationsRemembered; i++) {
        await locks.operate?.("bounded", { kind: "add", by: 1n }, operationId());
      }
      for (const name of ["idle", "idler"]) await (await locks.acquire(name, long)).release();
      await locks.acquire("lapsed", { ttlMs: 10, waitMs: 0 });
      await administer(async (admin) => {
        const guard = "trellis/{trellis/locks}:guard:";
        expect(await admin.hlen(`${guard}bounded`)).toBeLessThan(2 * operationsRemembered + 10);
        expect(await admin.exists(`${guard}idle`, `${guard}idler`)).toBe(0);
        expect(await admin.pttl(`${guard}lapsed`)).toBeGreaterThan(0);
        expect(await admin.pttl(`${guard}bounded`)).toBe(-1);
      });
    });

    test("scripts that it has forgotten are sent again", async () => {
      const locks = open();
      await locks.birth();
      await administer((admin) => admin.script("FLUSH"));
      const lease = await locks.acquire("scripts", long);
      expect(lease.current).toBeUndefined();
    });
  });

  describe("a client that fails", () => {
    test("a holder process that stood still past its lease knows it at once, and commits nothing", async () => {
      const locks = open();
      await using holder = await PausedHolder.start({
        backend: "redis",
        maker: "redisLocks",
        options: { url: server.url },
        resource: "stopped",
        ttlMs: 300,
      });
      await holder.pause();
      const lease = await locks.acquire("stopped", { ...long, waitMs });
      expect(lease.token > holder.token).toBe(true);
      expect(await holder.resume()).toEqual({ isLost: true, outcome: "TRELLIS_STALE_TOKEN" });
      expect(await locks.read("stopped")).toBeUndefined();
      await locks.commit([{ lease, value: bytes("fresh") }], operationId());
    });

    test("word of a turn that was lost is made up for", async () => {
      const holder = open();
      const { proxy, locks } = await behindProxy();
      await (await locks.acquire("warm", { ...long, waitMs })).release();
      const lease = await holder.acquire("word", long);
      const next = locks.acquire("word", { ...long, waitMs });
      await inLine("word");
      proxy.forget();
      proxy.replies.fate = "hold";
      await lease.release();
      await until("word is under way", waitMs, () => proxy.traffic.replyBytes > 0);
      proxy.cut("reset");
      proxy.replies.fate = "pass";
      expect((await next).token > lease.token).toBe(true);
    });

    test("a client that was handed in lends its settings, and stays as it is", async () => {
      const client = new Redis({ port: server.port, host: "127.0.0.1", keyPrefix: "theirs:" });
      try {
        const locks = open({ client });
        await locks.compareAndSet("lent", undefined, bytes("x"), operationId());
        await locks[Symbol.asyncDispose]();
        expect(await client.set("still", "open")).toBe("OK");
        expect(text(await open().read("lent"))).toBe("x");
      } finally {
        client.disconnect();
      }
    });

    test("nothing is left of one that is closed, also if the server is away or stands still", async () => {
      const [holder, waiter] = [open(), open()];
      await holder.acquire("left", long);
      const waiting = rejection(waiter.acquire("left", { ...long, waitMs }));
      await inLine("left");
      await server.pause();
      await Promise.all([holder[Symbol.asyncDispose](), waiter[Symbol.asyncDispose]()]);
      expect(await waiting).toMatchObject({ code: "TRELLIS_CLOSED" });
      server.resume();
      await server.kill();
      const late = open();
      expect(await rejection(late.read("r"))).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
      await late[Symbol.asyncDispose]();
      const left = (): string[] =>
        process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCPSocket"));
      await until("all sockets are closed", waitMs, () => left().length === 0);
      await server.restart();
    });

    test("options that cannot be meant are refused", () => {
      expect(() => redisLocks({})).toThrow(UsageError);
      expect(() => redisLocks({ url: server.url, prefix: "a{b" })).toThrow("hash tag");
    });
  });
});
