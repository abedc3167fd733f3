/** The servers that tests start: each is real, comes back with what it acknowledged, and leaves nothing. */
import { execFile, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { startEtcd } from "../../src/cli/servers/etcd.ts";
import { exchange } from "../../src/cli/servers/exchange.ts";
import { find, isSkipped, type ServerKind, zookeeperJar } from "../../src/cli/servers/installed.ts";
import { startMysql } from "../../src/cli/servers/mysql.ts";
import { reservePort, reservePorts } from "../../src/cli/servers/port.ts";
import { startPostgres } from "../../src/cli/servers/postgres.ts";
import { processState } from "../../src/cli/servers/process-tree.ts";
import { startRedis, startRedisMasters } from "../../src/cli/servers/redis.ts";
import { type Cluster, makeDirectory, Server } from "../../src/cli/servers/server.ts";
import { until } from "../../src/cli/servers/until.ts";
import { watchOfThisProcess } from "../../src/cli/servers/watch.ts";
import { startZookeeper } from "../../src/cli/servers/zookeeper.ts";

/** So long is a server given that is not expected to answer. */
const silenceMs = 300;
const answerMsMax = 10_000;

interface Client {
  readonly start: () => Promise<Server | Cluster>;
  /** Resolves once the server acknowledged it. */
  write(server: Server, value: string, signal: AbortSignal): Promise<unknown>;
  /** What comes back holds the value that was written last. */
  read(server: Server, signal: AbortSignal): Promise<string>;
}

const run = async (program: string, args: string[], signal: AbortSignal): Promise<string> => {
  const { stdout } = await promisify(execFile)(program, args, { signal });
  return stdout;
};

const redisClient = {
  write: async (server, value, signal) => {
    await exchange(server.port, `SET key ${value}\r\n`, (reply) => reply.includes("+OK"), signal);
  },
  read: async ({ port }, signal) => {
    // A length and a value, or a length that says that there is none.
    const isWhole = (reply: Buffer): boolean => /^\$(?:-1|\d+\r\n.*)\r\n/u.test(reply.toString());
    return (await exchange(port, "GET key\r\n", isWhole, signal)).toString();
  },
} satisfies Partial<Client>;

const base64 = (text: string): string => Buffer.from(text).toString("base64");

const etcdCall = async (server: Server, path: string, body: object, signal: AbortSignal) => {
  const options = { method: "POST", body: JSON.stringify(body), signal };
  const response = await fetch(`${server.url}/v3/kv/${path}`, options);
  return await response.text();
};

const zookeeperCall = async ({ address }: Server, command: string[], signal: AbortSignal) => {
  const main = [
    "-XX:TieredStopAtLevel=1",
    "-cp",
    zookeeperJar,
    "org.apache.zookeeper.ZooKeeperMain",
  ];
  return await run("java", [...main, "-server", address, ...command], signal);
};

const psql = async ({ url }: Server, sql: string, signal: AbortSignal) =>
  await run("psql", ["-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql, url], signal);

const mariadb = async ({ port }: Server, sql: string, signal: AbortSignal) => {
  const to = ["--no-defaults", "--host=127.0.0.1", `--port=${port}`, "--user=root", "trellis"];
  return await run("mariadb", [...to, "--skip-column-names", `--execute=${sql}`], signal);
};

const clients: Readonly<Record<ServerKind, Client>> = {
  redis: { start: startRedis, ...redisClient },
  etcd: {
    start: startEtcd,
    write: async (server, value, signal) => {
      const reply = await etcdCall(
        server,
        "put",
        { key: base64("key"), value: base64(value) },
        signal,
      );
      expect(reply).toContain("revision");
    },
    read: async (server, signal) => {
      const reply = await etcdCall(server, "range", { key: base64("key") }, signal);
      return Buffer.from(/"value":"([^"]*)"/u.exec(reply)?.[1] ?? "", "base64").toString();
    },
  },
  zookeeper: {
    start: startZookeeper,
    write: async (server, value, signal) =>
      await zookeeperCall(server, ["create", "/key", value], signal),
    read: async (server, signal) => await zookeeperCall(server, ["get", "/key"], signal),
  },
  postgres: {
    start: startPostgres,
    write: async (server, value, signal) =>
      await psql(server, `CREATE TABLE t AS SELECT '${value}' AS v`, signal),
    read: async (server, signal) => await psql(server, "SELECT v FROM t", signal),
  },
  mysql: {
    start: startMysql,
    write: async (server, value, signal) =>
      await mariadb(server, `CREATE TABLE t AS SELECT '${value}' AS v`, signal),
    read: async (server, signal) => await mariadb(server, "SELECT v FROM t", signal),
  },
};

const soon = (): AbortSignal => AbortSignal.timeout(answerMsMax);

const listens = async (port: number): Promise<boolean> =>
  await new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });

/** What a server of one kind left in the directory of this process. */
const left = async (kind: ServerKind): Promise<readonly string[]> => {
  const { directory } = await watchOfThisProcess();
  return existsSync(directory)
    ? readdirSync(directory).filter((name) => name.startsWith(kind))
    : [];
};

describe.each(Object.entries(clients))("%s", (name, client) => {
  const kind = name as ServerKind;

  test.skipIf(isSkipped(kind))("keeps what it acknowledged, and leaves nothing", async () => {
    const started = await client.start();
    const nodes = "nodes" in started ? started.nodes : [started];
    const [server] = nodes;
    if (server === undefined) throw new Error("no server");
    await using _stopped = started;
    await client.write(server, "first", soon());

    const before = server.pids();
    await Promise.all(nodes.map(async (node) => await node.kill()));
    expect(before.map(processState)).toEqual(before.map(() => undefined));
    expect(server.pid).toBeUndefined();
    expect(await listens(server.port)).toBe(false);

    await Promise.all(nodes.map(async (node) => await node.restart()));
    expect(await client.read(server, soon())).toContain("first");

    // All of them: a follower that stands does not hinder the others.
    await Promise.all(nodes.map(async (node) => await node.pause()));
    await expect(client.read(server, AbortSignal.timeout(silenceMs))).rejects.toThrow(
      /abort|timeout/iu,
    );
    for (const node of nodes) node.resume();
    expect(await client.read(server, soon())).toContain("first");

    const pids = nodes.flatMap((node) => node.pids());
    // It goes also while it stands.
    await server.pause();
    await started.stop();
    expect(pids.map(processState)).toEqual(pids.map(() => undefined));
    expect(await left(kind)).toEqual([]);
  });
});

describe("a cluster of etcd", () => {
  test.skipIf(isSkipped("etcd"))("serves on without one node, which catches up", async () => {
    await using cluster = await startEtcd();
    const [first, second, third] = [cluster.node(0), cluster.node(1), cluster.node(2)];
    await clients.etcd.write(first, "before", soon());
    await first.kill();
    // It may have been the leader, so ask until there is another.
    await until("two serve", answerMsMax, async () => {
      const write = clients.etcd.write(second, "meanwhile", AbortSignal.timeout(silenceMs));
      return await write.then(
        () => true,
        () => false,
      );
    });
    expect(await clients.etcd.read(third, soon())).toBe("meanwhile");
    await first.restart();
    expect(await clients.etcd.read(first, soon())).toBe("meanwhile");
    await second.pause();
    await until("the other two serve", answerMsMax, async () => {
      const read = clients.etcd.read(first, AbortSignal.timeout(silenceMs));
      return (await read.catch(() => "")) === "meanwhile";
    });
  });
});

describe("masters of Redis", () => {
  test.skipIf(isSkipped("redis"))("know nothing of each other", async () => {
    await using masters = await startRedisMasters();
    expect(new Set(masters.urls).size).toBe(3);
    await clients.redis.write(masters.node(0), "mine", soon());
    expect(await clients.redis.read(masters.node(0), soon())).toContain("mine");
    expect(await clients.redis.read(masters.node(1), soon())).toBe("$-1\r\n");
  });
});

describe("PostgreSQL", () => {
  test.skipIf(isSkipped("postgres"))("answers in no session while it stands", async () => {
    await using server = await startPostgres();
    const session = spawn("psql", ["-X", "-At", server.url], { stdio: ["pipe", "pipe", "ignore"] });
    let output = "";
    session.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
    session.stdin.write("SELECT 'one';\n");
    await until("the session is open", answerMsMax, () => output === "one\n");
    // The session, and those that write behind it.
    expect(server.pids().length).toBeGreaterThan(2);
    await server.pause();
    session.stdin.write("SELECT 'two';\n");
    await sleep(silenceMs);
    expect(output).toBe("one\n");
    server.resume();
    await until("it goes on", answerMsMax, () => output === "one\ntwo\n");
    session.kill();
  });
});

describe("a server that does not start", () => {
  test.skipIf(isSkipped("redis"))("shows its log, and leaves nothing", async () => {
    const reservation = await reservePort();
    const { port } = reservation;
    const start = Server.start({
      kind: "redis",
      port,
      url: "",
      directory: await makeDirectory("redis"),
      command: ["redis-server", "--port", String(port), "--no-such-setting", "1"],
      stopSignal: "SIGTERM",
      reservations: [reservation],
      isReady: async () => await Promise.resolve(false),
    });
    await expect(start).rejects.toThrow(/did not start; its log ends: [^]*no-such-setting/u);
    expect(await left("redis")).toEqual([]);
  });

  test("says what is missing", () => {
    expect(() => find("no-such-server")).toThrow("scripts/servers.sh");
  });
});

test("ports are apart from each other and from the near ends of connections", async () => {
  const reservations = await reservePorts(200);
  const ports = reservations.map(({ port }) => port);
  expect(new Set(ports).size).toBe(200);
  const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
  expect(Math.max(...ports)).toBeLessThan(Number.parseInt(range, 10));
  await Promise.all(reservations.map(async (each) => await each.release()));
});
