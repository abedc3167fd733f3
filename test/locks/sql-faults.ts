/** What a backend in a database must do on a server of its own, which is killed, paused, wiped and badly set. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { StoreRolledBackError } from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import type { Server } from "../../src/cli/servers/server.ts";
import { until } from "../../src/cli/servers/until.ts";
import { expectGrowing } from "./cases/leases.ts";
import { lockCases, runLockCase } from "./conformance.ts";
import { PausedHolder } from "./paused-holder.ts";
import { openProxiedStore } from "./proxied-store.ts";
import { restarts } from "./restarts.ts";
import { aborted, bytes, operationId, rejection, text } from "./trial.ts";

/** One dialect. */
export interface SqlDialect {
  readonly name: "postgres" | "mysql";
  readonly maker: string;
  readonly start: () => Promise<Server>;
  readonly open: (options: SqlOpening) => LockBackend;
  /** Runs a statement on a connection of its own. */
  readonly query: (url: string, statement: string) => Promise<unknown>;
  /** A transaction that has written, and neither ends nor lets go of the server until it is disposed of. */
  readonly openTransaction: (url: string) => Promise<AsyncDisposable>;
  /** A pool of the caller's, and a way to see that it still works. */
  readonly pool: (url: string) => SqlPool;
  /** What makes the server less than durable, what mends it, and the setting that must be named. */
  readonly settings: readonly (readonly [name: string, spoil: string, mend: string])[];
  /** Round trips of a waiter from the release to its lease. */
  readonly comingRoundTrips: number;
}

/** Where, and how. */
export interface SqlOpening {
  readonly url?: string;
  readonly client?: unknown;
  readonly prefix?: string;
  readonly answerMs: number;
}

/** A pool of the caller's. */
export interface SqlPool {
  readonly client: unknown;
  works(): Promise<boolean>;
  end(): Promise<void>;
}

const answerMs = 1_000;
const long = { ttlMs: 20_000, waitMs: 0 };
const waitMs = 10_000;
/** For a restart and what it holds up. */
const restartMsMax = 5_000;

/** Declares the suite. */
export function sqlFaults(dialect: SqlDialect): void {
  let server: Server;
  const opened: AsyncDisposable[] = [];
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);

  beforeAll(async () => {
    process.on("unhandledRejection", note);
    server = await dialect.start();
  });
  afterAll(async () => {
    await server.stop();
    process.off("unhandledRejection", note);
    expect(unhandled).toEqual([]);
  });
  afterEach(async () => {
    server.resume();
    for (const one of opened.splice(0).toReversed()) await one[Symbol.asyncDispose]();
  });

  const open = (options: Partial<SqlOpening> = {}): LockBackend => {
    const at = options.client === undefined ? { url: server.url } : {};
    const locks = dialect.open({ ...at, answerMs, ...options });
    opened.push(locks);
    return locks;
  };
  const behindProxy = async (): Promise<{ proxy: Proxy; locks: LockBackend }> => {
    const proxy = await Proxy.start(server.url);
    opened.push(proxy);
    return { proxy, locks: open({ url: proxy.through(server.url) }) };
  };
  const restart = async (): Promise<void> => {
    await server.kill();
    await server.restart();
  };
  const drop = async (table: string): Promise<void> => {
    for (const part of ["guards", "operations", "line"]) {
      await dialect.query(server.url, `DROP TABLE ${table}_${part}`);
    }
  };
  const inLine = (): Promise<void> =>
    until("someone stands in line", waitMs, async () => {
      const rows = await dialect.query(server.url, "SELECT nonce FROM trellis_line");
      return Array.isArray(rows) && rows.length > 0;
    });

  describe("round trips", () => {
    test("acquire, commit and release are three", async () => {
      const { proxy, locks } = await behindProxy();
      await (await locks.acquire("warm", long)).release();
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

    test("a commit over several resources is one", async () => {
      const { proxy, locks } = await behindProxy();
      const leases = [await locks.acquire("a", long), await locks.acquire("b", long)];
      proxy.forget();
      const sections = leases.map((lease) => ({ lease, value: bytes("x") }));
      await locks.commit(sections, operationId());
      expect(proxy.traffic.roundTrips).toBe(1);
    });

    test("the hand-over to the next waiter is at most two beside the release", async () => {
      const holder = open();
      const waiter = await behindProxy();
      const lease = await holder.acquire("hand", long);
      const next = waiter.locks.acquire("hand", { ...long, waitMs });
      await inLine();
      // What tells of turns is set up, and nothing is asked for a while.
      let last = -1;
      await until("the waiter is quiet", waitMs, async () => {
        const before = last;
        await new Promise((resolve) => {
          setTimeout(resolve, 150);
        });
        last = waiter.proxy.traffic.roundTrips;
        return last === before;
      });
      waiter.proxy.forget();
      await lease.release();
      await next;
      expect(waiter.proxy.traffic.roundTrips).toBeLessThanOrEqual(dialect.comingRoundTrips);
    });
  });

  test.each(dialect.settings)(
    "a server with less than was promised is refused by name: %s",
    async (name, spoil, mend) => {
      await dialect.query(server.url, spoil);
      try {
        await until("the setting is seen", waitMs, async () => {
          const refused = await open()
            .acquire("set", { ...long, ttlMs: 100 })
            .catch((error: unknown) => error);
          if (!(refused instanceof Error)) return false;
          expect(refused).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
          expect(refused.message).toContain(name);
          return true;
        });
      } finally {
        await dialect.query(server.url, mend);
      }
      await until("the server is as before", waitMs, () =>
        open()
          .read("set")
          .then(() => true)
          .catch(() => false),
      );
    },
  );

  test("who comes first at the same time makes the same tables", async () => {
    const births = Array.from({ length: 12 }, () => open({ prefix: "race/" }).birth());
    expect(new Set(await Promise.all(births)).size).toBe(1);
  });

  test("prefixes that cannot be names of tables are told apart all the same", async () => {
    const prefixes = ["", "/", "a", "A/", "a/b/", "é/", "x".repeat(100), "'; --"];
    for (const prefix of prefixes) {
      const locks = open({ prefix });
      await locks.compareAndSet("r", undefined, bytes(prefix), operationId());
      expect(text(await open({ prefix }).read("r"))).toBe(prefix);
    }
  });

  test("a client that was handed in is used, and not closed", async () => {
    const pool = dialect.pool(server.url);
    try {
      const locks = open({ client: pool.client });
      const lease = await locks.acquire("lent", long);
      const waiting = rejection(locks.acquire("lent", { ...long, waitMs }));
      await inLine();
      await locks.commit([{ lease, value: bytes("x") }], operationId());
      await locks[Symbol.asyncDispose]();
      await waiting;
      expect(await pool.works()).toBe(true);
    } finally {
      await pool.end();
    }
  });

  test(
    `tokens and versions grow over ${restarts} kills beside an open transaction`,
    async () => {
      const locks = open();
      const tokens: bigint[] = [];
      await locks.birth();
      for (let i = 0; i < restarts; i++) {
        await using _other = await dialect.openTransaction(server.url);
        const lease = await locks.acquire("killed", { ...long, waitMs });
        tokens.push(lease.token);
        expect(lease.current?.version ?? 0n).toBe(BigInt(i));
        await locks.commit([{ lease, value: bytes(`${i}`) }], operationId());
        await lease.release();
        await restart();
      }
      expectGrowing(tokens);
      expect(text(await locks.read("killed"))).toBe(`${restarts - 1}`);
    },
    60_000 + restarts * restartMsMax,
  );

  const restarting = lockCases.filter(({ needs }) => needs?.includes("restartStore"));
  test.each(restarting.map((one) => [one.name, one] as const))("%s", async (_name, one) => {
    const running = runLockCase(one, {
      name: dialect.name,
      open: async () =>
        openProxiedStore({
          ...{ servers: [server.url], prefix: "restarted/" },
          connect: ([url = ""], prefix) => dialect.open({ url, prefix, answerMs }),
          faults: { restartStore: restart },
        }),
    });
    await expect(running).resolves.toBeUndefined();
  });

  test("while the server stands still a lease is lost in time, and afterwards all goes on", async () => {
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

  test("a holder that stood still for longer than its lease commits nothing", async () => {
    const locks = open();
    const { name: backend, maker } = dialect;
    const options = { url: server.url };
    await using holder = await PausedHolder.start({
      ...{ backend, maker, options, resource: "stopped", ttlMs: 300 },
    });
    await holder.pause();
    const lease = await locks.acquire("stopped", { ...long, waitMs });
    expect(lease.token > holder.token).toBe(true);
    expect(await holder.resume()).toEqual({ isLost: true, outcome: "TRELLIS_STALE_TOKEN" });
    await locks.commit([{ lease, value: bytes("fresh") }], operationId());
    expect(text(await locks.read("stopped"))).toBe("fresh");
  });

  test("a wiped server is refused, also when it was wiped while it was away", async () => {
    const locks = open({ prefix: "wiped/" });
    const lease = await locks.acquire("r", long);
    await drop("wiped");
    await restart();
    const attempts = [
      () => locks.read("r"),
      () => locks.commit([{ lease, value: bytes("x") }], operationId()),
      () => locks.compareAndSet("r", undefined, bytes("x"), operationId()),
      () => locks.acquire("r", long),
      () => locks.birth(),
    ];
    for (const attempt of attempts) {
      expect(await rejection(attempt())).toBeInstanceOf(StoreRolledBackError);
    }
    expect(await open({ prefix: "wiped/" }).read("r")).toBeUndefined();
  });

  test("records of another birth are refused, though the birth of the store is the known one", async () => {
    const locks = open({ prefix: "foreign/" });
    await locks.compareAndSet("r", undefined, bytes("x"), operationId());
    await dialect.query(
      server.url,
      "UPDATE foreign_guards SET birth = 'another' WHERE length(resource) > 0",
    );
    expect(await rejection(locks.read("r"))).toBeInstanceOf(StoreRolledBackError);
    const set = locks.compareAndSet("r", 1n, bytes("y"), operationId());
    expect(await rejection(set)).toBeInstanceOf(StoreRolledBackError);
  });

  test("closing ends in time while the server stands still, and leaves no socket", async () => {
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCPSocket")).length;
    const before = sockets();
    const locks = open();
    await locks.acquire("left", long);
    const waiting = rejection(locks.acquire("left", { ...long, waitMs: 60_000 }));
    await inLine();
    await server.pause();
    const startedMs = performance.now();
    await locks[Symbol.asyncDispose]();
    await waiting;
    expect(performance.now() - startedMs).toBeLessThan(answerMs * 8);
    await until("no socket is left", waitMs, () => sockets() <= before);
  });
}
