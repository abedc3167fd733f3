/** ZooKeeper on a server of its own, which is paused and killed. */
import { createClient } from "node-zookeeper-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StoreRolledBackError } from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { ZookeeperAuthority } from "../../src/escalate/locks/zookeeper/authority.ts";
import { ZookeeperSessions } from "../../src/escalate/locks/zookeeper/sessions.ts";
import { ZookeeperStore } from "../../src/escalate/locks/zookeeper/store.ts";
import { zookeeperLocks } from "../../src/escalate/locks/zookeeper.ts";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import type { Server } from "../../src/cli/servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { until } from "../../src/cli/servers/until.ts";
import { startZookeeper } from "../../src/cli/servers/zookeeper.ts";
import { PausedHolder } from "./paused-holder.ts";
import { freshPrefix } from "./proxied-store.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";
import { erase, nodesOf } from "./zookeeper-nodes.ts";

const ttlMs = 1_000;
/** For a restart and what it holds up. */
const outageMsMax = 20_000;
const slowMs = 60_000;

describe.skipIf(isServiceSkipped("zookeeper"))("ZooKeeper", () => {
  let server: Server;
  let hosts: readonly string[];
  beforeAll(async () => {
    server = await startZookeeper();
    hosts = [server.address];
  }, slowMs);
  afterAll(async () => {
    await server.stop();
  }, slowMs);

  const open = (prefix: string): LockBackend => zookeeperLocks({ hosts, prefix });

  test(
    "a holder process that was stopped for longer than its lease commits nothing",
    { timeout: slowMs },
    async () => {
      const prefix = freshPrefix();
      await using holder = await PausedHolder.start({
        ...{ backend: "zookeeper", maker: "zookeeperLocks", options: { hosts, prefix } },
        ...{ resource: "r", ttlMs },
      });
      await holder.pause();
      await using next = open(prefix);
      const lease = await next.acquire("r", { ttlMs: 20_000, waitMs: outageMsMax });
      expect(lease.token > holder.token).toBe(true);
      expect(await holder.resume()).toEqual({ isLost: true, outcome: "TRELLIS_STALE_TOKEN" });
      expect(await next.read("r")).toBeUndefined();
      await next.commit([{ lease, value: bytes("next") }], operationId());
      expect(text(await next.read("r"))).toBe("next");
    },
  );

  test(
    "a server that stands still keeps no holder believing, and its late answers do no harm",
    { timeout: slowMs },
    async () => {
      const prefix = freshPrefix();
      await using first = open(prefix);
      await using second = open(prefix);
      await second.birth();
      const lease = await first.acquire("r", { ttlMs, waitMs: 0 });
      await server.pause();
      const id = operationId();
      const writing = first
        .commit([{ lease, value: bytes("late") }], id)
        .catch((error: unknown) => error);
      await until("the loss", ttlMs + 200, () => lease.lost.aborted);
      expect(await writing).toMatchObject({ code: "TRELLIS_UNKNOWN_OUTCOME" });
      server.resume();
      const next = await second.acquire("r", { ttlMs: 20_000, waitMs: outageMsMax });
      const [written] = await second.commit([{ lease: next, value: bytes("next") }], operationId());
      const again = await first
        .commit([{ lease, value: bytes("late") }], id)
        .catch((error: unknown) => error);
      // It was applied before the next holder came, or never.
      const applied = [{ version: next.current?.version }];
      expect(again).toMatchObject(next.current ? applied : { code: "TRELLIS_STALE_TOKEN" });
      expect((await first.read("r"))?.version).toBe(written?.version);
      expect(text(await first.read("r"))).toBe("next");
    },
  );

  test("a store that was wiped and born again is refused", async () => {
    const prefix = freshPrefix();
    await using client = open(prefix);
    await client.compareAndSet("r", undefined, bytes("x"), operationId());
    await erase(hosts, `/${prefix.slice(0, -1)}`);
    expect(await rejection(client.read("r"))).toBeInstanceOf(StoreRolledBackError);
    await using other = open(prefix);
    await other.compareAndSet("r", undefined, bytes("other"), operationId());
    // Versions are the same again; the birth is not.
    const set = client.compareAndSet("r", 1n, bytes("y"), operationId());
    expect(await rejection(set)).toBeInstanceOf(StoreRolledBackError);
    expect(text(await other.read("r"))).toBe("other");
  });

  test("the first write after the one that created a record is conditional too", async () => {
    const prefix = freshPrefix();
    await using first = open(prefix);
    await using second = open(prefix);
    // The client library takes version 0 for any version.
    await first.compareAndSet("r", undefined, bytes("1"), operationId());
    await second.compareAndSet("r", 1n, bytes("2"), operationId());
    const stale = first.compareAndSet("r", 1n, bytes("stale"), operationId());
    expect(await rejection(stale)).toMatchObject({ code: "TRELLIS_CONFLICT" });
    expect(text(await first.read("r"))).toBe("2");
  });

  test("who waits may ask again at any time, and is not granted while another holds", async () => {
    const prefix = freshPrefix();
    const options = { hosts, client: undefined, environment: systemEnvironment, answerMs: 2_000 };
    const sessions = new ZookeeperSessions(options);
    const store = new ZookeeperStore(sessions, systemEnvironment, prefix);
    const authority = new ZookeeperAuthority(systemEnvironment, sessions, store);
    const birth = await authority.birth();
    const request = { birth, resource: "r", ttlMs: 20_000, waitMs: 20_000 };
    const holder = { ...request, nonce: "a" };
    const waiter = { ...request, nonce: "b" };
    const granted = await authority.open(holder);
    expect(granted).toMatchObject({ kind: "opened" });
    expect(await authority.open(holder)).toMatchObject(granted);
    for (let i = 0; i < 3; i++) {
      expect(await authority.open(waiter)).toMatchObject({ kind: "held", place: 1 });
    }
    await authority.cancel(holder);
    await authority.turn(waiter);
    expect(await authority.open(waiter)).toMatchObject({ kind: "opened" });
    await authority.close();
  });

  test("an acquire that is called off while it connects leaves nothing", async () => {
    const prefix = freshPrefix();
    await using client = open(prefix);
    await client.birth();
    const leaving = new AbortController();
    const acquiring = client.acquire("r", {
      ttlMs: 20_000,
      waitMs: 20_000,
      signal: leaving.signal,
    });
    await Promise.resolve();
    leaving.abort(new Error("left"));
    await expect(acquiring).rejects.toThrow("left");
    await using other = open(prefix);
    await other.acquire("r", { ttlMs, waitMs: 5_000 });
  });

  test("a connection that breaks in the middle of a message harms nothing", async () => {
    const prefix = freshPrefix();
    await using proxy = await Proxy.start(server.address);
    await using client = zookeeperLocks({ hosts: [proxy.address], prefix });
    const large = new Uint8Array(500_000).fill(7);
    await client.compareAndSet("r", undefined, large, operationId());
    for (let i = 0; i < 5; i++) {
      proxy.replies.bytesPerSecond = 1_000_000;
      proxy.forget();
      const reading = client.read("r");
      await until("half of it", 5_000, () => proxy.traffic.replyBytes > 20_000);
      proxy.cut("reset");
      proxy.replies.bytesPerSecond = Number.POSITIVE_INFINITY;
      expect((await reading)?.value.length).toBe(large.length);
    }
  });

  test("round trips: at most five for acquire, commit and release, one for compare-and-set, two to hand over", async () => {
    const prefix = freshPrefix();
    await using proxy = await Proxy.start(server.address);
    await using client = zookeeperLocks({ hosts: [proxy.address], prefix });
    await using other = zookeeperLocks({ hosts: [proxy.address], prefix });
    const cycle = async (): Promise<void> => {
      const lease = await client.acquire("r", { ttlMs: 20_000, waitMs: 0 });
      await client.commit([{ lease, value: bytes("x") }], operationId());
      await lease.release();
    };
    const counted = async (work: () => Promise<unknown>): Promise<number> => {
      proxy.forget();
      await work();
      return proxy.traffic.roundTrips;
    };
    await cycle();
    expect(await counted(cycle)).toBeLessThanOrEqual(5);
    const { version } = (await client.read("r")) ?? { version: 0n };
    const set = (expected: bigint) => () =>
      client.compareAndSet("r", expected, bytes("y"), operationId());
    expect(await counted(set(version))).toBe(1);
    expect(await counted(set(version + 1n))).toBe(1);
    const lease = await client.acquire("r", { ttlMs: 20_000, waitMs: 0 });
    const waiting = other.acquire("r", { ttlMs: 20_000, waitMs: 20_000 });
    const line = `/${prefix}line/=r`;
    await until("two in line", 5_000, async () => (await nodesOf(hosts, line)).length === 3);
    await until("it watches", 5_000, () => proxy.askingConnections === 0);
    const handOver = async (): Promise<void> => {
      await lease.release();
      await waiting;
    };
    expect(await counted(handOver)).toBe(2);
  });

  test("nothing is left but records and fences when clients are disposed of", async () => {
    const prefix = freshPrefix();
    const root = `/${prefix.slice(0, -1)}`;
    const [first, second] = [open(prefix), open(prefix)];
    const birth = await first.birth();
    await first.acquire("r", { ttlMs: 20_000, waitMs: 0 });
    const waiting = rejection(second.acquire("r", { ttlMs: 20_000, waitMs: 20_000 }));
    const line = `${root}/line/=r`;
    await until("two in line", 5_000, async () => (await nodesOf(hosts, line)).length === 3);
    await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
    await waiting;
    const left = ["", "/birth", `/birth/${birth}`, "/guard", "/line", "/line/=r"];
    expect((await nodesOf(hosts, root)).toSorted()).toEqual(left.map((each) => root + each));
  });

  test("a client whose server is gone is disposed of in time, and opens nothing afterwards", async () => {
    await using proxy = await Proxy.start(server.address);
    const client = zookeeperLocks({ hosts: [proxy.address], prefix: freshPrefix(), answerMs: 500 });
    const many = Array.from({ length: 30 }, (_, i) => `r${i}`);
    await Promise.all(many.map((each) => client.acquire(each, { ttlMs: 20_000, waitMs: 5_000 })));
    proxy.requests.fate = proxy.replies.fate = "lose";
    const startedMs = performance.now();
    await client[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    await proxy.close();
    const sockets = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind.startsWith("TCPSocket")).length;
    await until("no socket", 5_000, () => sockets() === 0);
  });

  test("a client that is handed in is used and not closed, and bounds the time to live", async () => {
    const client = createClient(hosts.join(","), { sessionTimeout: 4_000, spinDelay: 100 });
    await new Promise<void>((resolve) => {
      client.once("connected", resolve);
      client.connect();
    });
    const locks = zookeeperLocks({ client, prefix: freshPrefix() });
    const lease = await locks.acquire("r", { ttlMs, waitMs: 0 });
    await locks.commit([{ lease, value: bytes("x") }], operationId());
    const long = await rejection(locks.acquire("long", { ttlMs: 10_000, waitMs: 0 }));
    expect(long).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
    await locks[Symbol.asyncDispose]();
    expect(client.getState().name).toBe("SYNC_CONNECTED");
    client.close();
  });
});
