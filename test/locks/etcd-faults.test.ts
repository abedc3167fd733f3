/** etcd on servers of its own, which are paused and killed. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { StoreRolledBackError } from "../../src/errors.ts";
import type { LockBackend } from "../../src/escalate/locks.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { EtcdAuthority } from "../../src/escalate/locks/etcd/authority.ts";
import { Gateway } from "../../src/escalate/locks/etcd/gateway.ts";
import { EtcdStore } from "../../src/escalate/locks/etcd/store.ts";
import { field } from "../../src/escalate/locks/etcd/wire.ts";
import { etcdLocks } from "../../src/escalate/locks/etcd.ts";
import { etcdRole, startEtcd } from "../servers/etcd.ts";
import { Proxy } from "../servers/proxy.ts";
import type { Cluster } from "../servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { until } from "../servers/until.ts";
import { erase, keysOf } from "./etcd-keys.ts";
import { inRole, loseNodes } from "./node-loss.ts";
import { PausedHolder } from "./paused-holder.ts";
import { freshPrefix } from "./proxied-store.ts";
import { bytes, operationId, rejection, text } from "./trial.ts";

const ttlMs = 1_000;
/** For an election and what it holds up. */
const outageMsMax = 20_000;
const slowMs = 60_000;

/** Resolves when etcd has answered to a watch of this process. */
const nextWatch = (): Promise<void> =>
  new Promise((resolve) => {
    const look = (message: unknown): void => {
      if (field(field(message, "request"), "path") !== "/v3/watch") return;
      unsubscribe("undici:request:headers", look);
      resolve();
    };
    subscribe("undici:request:headers", look);
  });

describe.skipIf(isServiceSkipped("etcd"))("etcd", () => {
  let cluster: Cluster;
  let hosts: readonly string[];
  beforeAll(async () => {
    cluster = await startEtcd();
    hosts = cluster.addresses;
  }, slowMs);
  afterAll(async () => {
    await cluster.stop();
  }, slowMs);

  const open = (prefix: string): LockBackend => etcdLocks({ hosts, prefix });

  const a = (role: "leader" | "follower") =>
    inRole((node) => etcdRole(node, AbortSignal.timeout(1_000)), role);

  for (const how of ["kill", "pause"] as const) {
    test(
      `the leader and then a follower, lost by a ${how} in mid-load, cost no commit and no token`,
      { timeout: slowMs },
      async () => {
        const prefix = freshPrefix();
        const connect = (some: readonly string[]) => etcdLocks({ hosts: some, prefix });
        const losses = [a("leader"), a("follower")];
        await expect(loseNodes({ cluster, connect, how, losses })).resolves.toBeUndefined();
      },
    );
  }

  test(
    "a holder process that was stopped for longer than its lease commits nothing",
    { timeout: slowMs },
    async () => {
      const prefix = freshPrefix();
      await using holder = await PausedHolder.start({
        ...{ backend: "etcd", maker: "etcdLocks", options: { hosts, prefix } },
        ...{ resource: "r", ttlMs },
      });
      await holder.pause();
      await using next = open(prefix);
      const lease = await next.acquire("r", { ttlMs: 20_000, waitMs: outageMsMax });
      expect(lease.token > holder.token).toBe(true);
      expect(await holder.resume()).toEqual({ isLost: true, outcome: "TRELLIS_STALE_TOKEN" });
      expect(await next.read("r")).toBeUndefined();
      await next.commit([{ lease, value: bytes("next") }], operationId());
    },
  );

  test(
    "a whole cluster that stands still keeps no holder believing, and its late answers do no harm",
    { timeout: slowMs },
    async () => {
      const prefix = freshPrefix();
      await using first = open(prefix);
      await using second = open(prefix);
      await second.birth();
      const lease = await first.acquire("r", { ttlMs, waitMs: 0 });
      await Promise.all(cluster.nodes.map((node) => node.pause()));
      const startedMs = performance.now();
      const id = operationId();
      const writing = first
        .commit([{ lease, value: bytes("late") }], id)
        .catch((error: unknown) => error);
      await until("the loss", ttlMs + 200, () => lease.lost.aborted);
      expect(performance.now() - startedMs).toBeLessThan(ttlMs + 200);
      const unknown = await writing;
      expect(unknown).toMatchObject({ code: "TRELLIS_UNKNOWN_OUTCOME" });
      for (const node of cluster.nodes) node.resume();
      const next = await second.acquire("r", { ttlMs: 20_000, waitMs: outageMsMax });
      const [written] = await second.commit([{ lease: next, value: bytes("next") }], operationId());
      const again = await first
        .commit([{ lease, value: bytes("late") }], id)
        .catch((error: unknown) => error);
      // It was applied before the next holder came, or never.
      const applied = [{ version: next.current?.version }];
      expect(again).toMatchObject(next.current ? applied : { code: "TRELLIS_STALE_TOKEN" });
      expect(text(await first.read("r"))).toBe("next");
      expect((await first.read("r"))?.version).toBe(written?.version);
    },
  );

  test("a cluster that was wiped and born again is refused", async () => {
    const prefix = freshPrefix();
    await using client = open(prefix);
    await client.compareAndSet("r", undefined, bytes("x"), operationId());
    await erase(hosts, prefix);
    expect(await rejection(client.read("r"))).toBeInstanceOf(StoreRolledBackError);
    await using other = open(prefix);
    await other.compareAndSet("r", undefined, bytes("other"), operationId());
    const set = client.compareAndSet("r", 1n, bytes("y"), operationId());
    expect(await rejection(set)).toBeInstanceOf(StoreRolledBackError);
    expect(text(await other.read("r"))).toBe("other");
  });

  test("who waits may ask again at any time, and is not granted while another holds", async () => {
    const prefix = freshPrefix();
    const environment = systemEnvironment;
    const gateway = new Gateway({ hosts, client: undefined, environment, answerMs: 2_000 });
    const store = new EtcdStore({ gateway, environment, prefix, membersMin: 3 });
    const authority = new EtcdAuthority(gateway, environment, store);
    const birth = await authority.birth();
    const request = { birth, resource: "r", ttlMs: 20_000, waitMs: 20_000 };
    const holder = { ...request, nonce: "a" };
    const waiter = { ...request, nonce: "b" };
    const granted = await authority.open(holder);
    expect(granted).toMatchObject({ kind: "opened" });
    expect(await authority.open(holder)).toMatchObject(granted);
    for (let i = 0; i < 3; i++) {
      expect(await authority.open(waiter)).toMatchObject({ kind: "held" });
    }
    await authority.cancel(holder);
    await authority.turn(waiter);
    expect(await authority.open(waiter)).toMatchObject({ kind: "opened" });
    await authority.close();
    await gateway.close();
  });

  test("a request that arrives after its acquire was called off puts nobody in the line", async () => {
    const prefix = freshPrefix();
    await using one = await Proxy.start(hosts[0] ?? "");
    await using two = await Proxy.start(hosts[1] ?? "");
    const through = [one.address, two.address];
    const client = etcdLocks({ hosts: through, prefix, answerMs: 300 });
    // A late request may also be dropped by etcd, which is no proof: several.
    for (const resource of ["a", "b", "c", "d"]) {
      one.forget();
      two.forget();
      // Its session is there then, so that the next request is for a key.
      await (await client.acquire("warm", { ttlMs: 20_000, waitMs: 0 })).release();
      const asked = one.traffic.roundTrips > 0 ? one : two;
      asked.forget();
      asked.requests.fate = "hold";
      // Called off by way of the other host, before it arrives.
      await rejection(client.acquire(resource, { ttlMs: 20_000, waitMs: 0 }));
      const gone = `${prefix}gone/${resource}/`;
      await until("it is called off", 5_000, async () => (await keysOf(hosts, gone)).length === 1);
      asked.requests.fate = "pass";
      await until("it is answered", 5_000, () => asked.traffic.replyBytes > 0);
      expect(await keysOf(hosts, `${prefix}line/`)).toEqual([]);
    }
    await client[Symbol.asyncDispose]();
    expect(await keysOf(hosts, `${prefix}gone/`)).toEqual([]);
  });

  test("round trips: three for acquire, commit and release, one for compare-and-set, two to hand over", async () => {
    const prefix = freshPrefix();
    await using proxy = await Proxy.start(hosts[0] ?? "");
    await using client = etcdLocks({ hosts: [proxy.address], prefix });
    await using otherProxy = await Proxy.start(hosts[0] ?? "");
    await using other = etcdLocks({ hosts: [otherProxy.address], prefix });
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
    expect(await counted(cycle)).toBe(3);
    const before = await client.read("r");
    expect(
      await counted(() => client.compareAndSet("r", before?.version, bytes("y"), operationId())),
    ).toBe(1);
    const lease = await client.acquire("r", { ttlMs: 20_000, waitMs: 0 });
    const watching = nextWatch();
    const waiting = other.acquire("r", { ttlMs: 20_000, waitMs: 20_000 });
    await watching;
    otherProxy.forget();
    expect(await counted(() => lease.release())).toBe(1);
    await waiting;
    expect(otherProxy.traffic.roundTrips).toBe(1);
  });

  test("nothing is left in etcd but records and fences when clients are disposed of", async () => {
    const prefix = freshPrefix();
    const [first, second] = [open(prefix), open(prefix)];
    await first.acquire("r", { ttlMs: 20_000, waitMs: 0 });
    const waiting = rejection(second.acquire("r", { ttlMs: 20_000, waitMs: 20_000 }));
    await until(
      "two in line",
      5_000,
      async () => (await keysOf(hosts, `${prefix}line/`)).length === 2,
    );
    await Promise.all([first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
    await waiting;
    expect(await keysOf(hosts, prefix)).toEqual([`${prefix}birth`, `${prefix}fence/r`]);
  });

  test("a cluster smaller than the hosts that are named is refused, by name", async () => {
    const [one, two, three] = hosts;
    await using client = etcdLocks({ hosts: [one, two, three, one].map(String) });
    const refused = await rejection(client.birth());
    expect(refused).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
    expect(String(refused.cause)).toContain("3 voting members; 4 hosts were named");
  });
});
