/** What `node-zookeeper-client` leaves to its user: late, lost and unsent requests, and sessions that end unseen. */
import { CreateMode } from "node-zookeeper-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemEnvironment } from "../../src/environment.ts";
import { zookeeperLocks } from "../../src/escalate/locks/zookeeper.ts";
import { ZookeeperConnection } from "../../src/escalate/locks/zookeeper/connection.ts";
import { Proxy } from "../servers/proxy.ts";
import type { Server } from "../servers/server.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { until } from "../servers/until.ts";
import { startZookeeper } from "../servers/zookeeper.ts";
import { freshPrefix } from "./proxied-store.ts";
import { elapse, rejection } from "./trial.ts";
import { nodesOf } from "./zookeeper-nodes.ts";

const answerMs = 500;
const slowMs = 60_000;

describe.skipIf(isServiceSkipped("zookeeper"))("a connection to ZooKeeper", () => {
  let server: Server;
  beforeAll(async () => {
    server = await startZookeeper();
  }, slowMs);
  afterAll(async () => {
    await server.stop();
  }, slowMs);

  const connect = (proxy: Proxy, sessionMs = 20_000): ZookeeperConnection =>
    new ZookeeperConnection({
      ...{ hosts: [proxy.address], client: undefined, environment: systemEnvironment },
      ...{ sessionMs, answerMs },
    });

  const childrenOf = async (connection: ZookeeperConnection, path: string) =>
    await connection.ask<string[]>((client, done) => client.getChildren(path, done));

  /** Resolves when there is another connection than the first. */
  const connectedAgain = async (proxy: Proxy, connection: ZookeeperConnection): Promise<void> => {
    await until("another connection", 5_000, () => proxy.connections.length > 1);
    await connection.ready();
  };

  const nodesIn = async (line: string): Promise<readonly string[]> =>
    (await nodesOf([server.address], line)).slice(1);

  test("an answer that never comes is waited for so long, and is not taken for the next one", async () => {
    await using proxy = await Proxy.start(server.address);
    const connection = connect(proxy);
    await connection.ready();
    const { sessionId } = connection;
    proxy.replies.fate = "hold";
    const startedMs = performance.now();
    expect(String(await rejection(childrenOf(connection, "/")))).toContain("did not answer");
    expect(performance.now() - startedMs).toBeGreaterThan(answerMs - 5);
    proxy.replies.fate = "pass";
    await connectedAgain(proxy, connection);
    expect(await childrenOf(connection, "/zookeeper")).toMatchObject({
      value: ["config", "quota"],
    });
    expect(connection.sessionId).toEqual(sessionId);
    await connection.close();
  });

  test("what is asked without a connection is refused, and never sent", async () => {
    const proxy = await Proxy.start(server.address);
    const connection = connect(proxy);
    await connection.ready();
    await proxy.close();
    await until("the loss is seen", 5_000, async () => {
      const asked = childrenOf(connection, "/").catch((error: unknown) => error);
      return String(await asked).includes("nothing was sent");
    });
    expect(await rejection(connection.ready())).toMatchObject({ code: "TRELLIS_LOCK_UNAVAILABLE" });
    await connection.close();
  });

  test("what waited for a full socket when the connection broke is not sent on the next one", async () => {
    await using proxy = await Proxy.start(server.address);
    const connection = connect(proxy);
    await connection.ready();
    // More than all buffers on the way hold, so that most of it is never sent.
    const large = Buffer.alloc(900 * 1024);
    proxy.requests.fate = "hold";
    const asked = Array.from({ length: 40 }, () =>
      connection.ask<string>((client, done) =>
        client.create("/none/large", large, CreateMode.PERSISTENT, done),
      ),
    );
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.every(({ status }) => status === "rejected")).toBe(true);
    proxy.requests.fate = "pass";
    await connectedAgain(proxy, connection);
    await childrenOf(connection, "/");
    const [first, ...later] = proxy.connections;
    expect(first?.requestBytes).toBeGreaterThan(large.length);
    expect(later.reduce((sum, { requestBytes }) => sum + requestBytes, 0)).toBeLessThan(1_000);
    await connection.close();
  });

  test("a request that cannot be made is refused at once, and costs no connection", async () => {
    await using proxy = await Proxy.start(server.address);
    const connection = connect(proxy);
    await connection.ready();
    expect(String(await rejection(childrenOf(connection, "no path")))).toContain("path");
    await elapse(answerMs * 1.5);
    expect(proxy.connections).toHaveLength(1);
    expect(await childrenOf(connection, "/")).toMatchObject({ ok: true });
    await connection.close();
  });

  test("a server that says nothing is left, also by who asks nothing, and the session lives on", async () => {
    await using proxy = await Proxy.start(server.address);
    const connection = connect(proxy, 3_000);
    await connection.ready();
    const { sessionId } = connection;
    proxy.replies.fate = "lose";
    await until("it is cut", 2_500, () => proxy.connections.length > 1);
    proxy.replies.fate = "pass";
    proxy.cut("reset");
    await connectedAgain(proxy, connection);
    expect(connection.sessionId).toEqual(sessionId);
    await connection.close();
  });

  test("a session that must have ended meanwhile is over without a word of the server", async () => {
    const proxy = await Proxy.start(server.address);
    const connection = connect(proxy, 1_000);
    await connection.ready();
    const told = new Promise<void>((resolve) => {
      connection.onOver(resolve);
    });
    await proxy.close();
    await until("it is over", 5_000, () => connection.isOver);
    await told;
    expect(String(await rejection(connection.ready()))).toContain("session is over");
    await connection.close();
  });

  test("a session that the server ended is over once it is met again, and who stood in line stands in it anew", async () => {
    const prefix = freshPrefix();
    await using proxy = await Proxy.start(server.address);
    await using client = zookeeperLocks({ hosts: [proxy.address], prefix, answerMs });
    await using other = zookeeperLocks({ hosts: [server.address], prefix });
    const lease = await other.acquire("r", { ttlMs: 20_000, waitMs: 0 });
    const waiting = client.acquire("r", { ttlMs: 1_000, waitMs: 20_000 });
    const line = `/${prefix}line/=r`;
    await until("two in line", 5_000, async () => (await nodesIn(line)).length === 2);
    const before = await nodesIn(line);
    proxy.requests.fate = proxy.replies.fate = "lose";
    await until("its session is over", 10_000, async () => (await nodesIn(line)).length === 1);
    proxy.requests.fate = proxy.replies.fate = "pass";
    proxy.cut("reset");
    await until("two in line again", 5_000, async () => (await nodesIn(line)).length === 2);
    expect(await nodesIn(line)).not.toEqual(before);
    await lease.release();
    expect((await waiting).token > lease.token).toBe(true);
  });

  test("the node of a creation without an answer is found again, by who goes on and by who gives up", async () => {
    const prefix = freshPrefix();
    await using proxy = await Proxy.start(server.address);
    await using client = zookeeperLocks({ hosts: [proxy.address], prefix, answerMs });
    await (await client.acquire("r", { ttlMs: 20_000, waitMs: 0 })).release();
    const line = `/${prefix}line/=r`;
    const mend = (): void => {
      proxy.replies.fate = "pass";
      proxy.cut("reset");
    };
    proxy.replies.fate = "lose";
    const waiting = client.acquire("r", { ttlMs: 20_000, waitMs: 20_000 });
    await until("its node", 5_000, async () => (await nodesIn(line)).length === 1);
    const made = await nodesIn(line);
    mend();
    const lease = await waiting;
    expect(await nodesIn(line)).toEqual(made);
    await lease.release();

    proxy.forget();
    proxy.replies.fate = "lose";
    const leaving = new AbortController();
    const giving = rejection(
      client.acquire("r", { ttlMs: 20_000, waitMs: 20_000, signal: leaving.signal }),
    );
    await until("another node", 5_000, async () => (await nodesIn(line)).length === 1);
    leaving.abort(new Error("left"));
    await giving;
    mend();
    await until("no node", 5_000, async () => (await nodesIn(line)).length === 0);
  });

  test("what could not be given back while the server was away is removed when it is there again", async () => {
    const prefix = freshPrefix();
    await using proxy = await Proxy.start(server.address);
    await using client = zookeeperLocks({ hosts: [proxy.address], prefix, answerMs: 200 });
    const lease = await client.acquire("r", { ttlMs: 20_000, waitMs: 0 });
    proxy.requests.fate = proxy.replies.fate = "lose";
    await rejection(lease.release());
    proxy.requests.fate = proxy.replies.fate = "pass";
    proxy.cut("reset");
    // Its session lives on, for 20 s and more.
    await using other = zookeeperLocks({ hosts: [server.address], prefix });
    const next = await other.acquire("r", { ttlMs: 1_000, waitMs: 5_000 });
    expect(next.token > lease.token).toBe(true);
  });

  test("those who join a line at once share what they read of it", async () => {
    const prefix = freshPrefix();
    await using proxy = await Proxy.start(server.address);
    await using client = zookeeperLocks({ hosts: [proxy.address], prefix });
    await using other = zookeeperLocks({ hosts: [server.address], prefix });
    await client.birth();
    await other.acquire("r", { ttlMs: 20_000, waitMs: 0 });
    proxy.forget();
    const leaving = Array.from({ length: 200 }, () => new AbortController());
    const waiting = leaving.map(({ signal }) =>
      rejection(client.acquire("r", { ttlMs: 20_000, waitMs: 20_000, signal })),
    );
    const line = `/${prefix}line/=r`;
    await until("all in line", 10_000, async () => (await nodesIn(line)).length === 201);
    await until("all watch", 5_000, () => proxy.askingConnections === 0);
    // Each by itself would read 200 names of more than 40 bytes.
    expect(proxy.traffic.replyBytes).toBeLessThan((200 * 200 * 40) / 4);
    for (const each of leaving) each.abort(new Error("left"));
    await Promise.all(waiting);
  });
});
