import { createServer, type Server } from "node:http";
import { connect, createServer as createTcpServer, type AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import { systemEnvironment } from "../../src/environment.ts";
import { OverloadedError, UnauthorizedError, UsageError } from "../../src/errors.ts";
import { openCollections } from "../../src/store/collections/open.ts";
import { Exchanges } from "../../src/store/exchanges.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import { Sync, type SyncOptions } from "../../src/sync/sync.ts";
import type { DoorOptions } from "../../src/door.ts";
import type { ConnectionEnd } from "../../src/sync/transport.ts";
import { webSocketTransport } from "../../src/sync/transport/websocket.ts";
import { schema } from "./cluster.ts";

const open: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function node(name: string, peers: SyncOptions["peers"], options: Partial<SyncOptions> = {}) {
  const keyspace = new Keyspace({ schema, environment: systemEnvironment });
  const sync = new Sync({
    keyspace,
    exchanges: new Exchanges(keyspace),
    environment: systemEnvironment,
    transport: webSocketTransport(systemEnvironment),
    name,
    listen: { port: 0 },
    ...(peers ? { peers } : {}),
    ...options,
  });
  open.push(() => sync.close());
  await sync.start();
  const url = `ws://127.0.0.1:${sync.address?.port ?? 0}`;
  return { keyspace, sync, url, collections: openCollections(keyspace, schema) };
}

/** Resolves once `isMet`, asked each turn or so. */
async function until(isMet: () => boolean): Promise<void> {
  const endMs = Date.now() + 10_000;
  while (!isMet()) {
    if (Date.now() > endMs) throw new Error("waited 10 s in vain");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function listener(server: Server): Promise<string> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      open.push(
        () =>
          new Promise((closed) => {
            server.close(closed);
            server.closeAllConnections();
          }),
      );
      resolve(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    });
  });
}

/** How a dial ends. */
function ending(url: string, token?: string): Promise<ConnectionEnd> {
  return new Promise((resolve) => {
    webSocketTransport(systemEnvironment, { handshakeMsMax: 300 }).dial(
      { url, ...(token === undefined ? {} : { token }) },
      {
        opened: () => resolve({ reason: "opened" }),
        message: () => undefined,
        drained: () => undefined,
        closed: resolve,
      },
    );
  });
}

/** A listener that accepts and says nothing. */
async function quiet(options: Partial<DoorOptions>, linksMax = 8): Promise<string> {
  const bound = await webSocketTransport(systemEnvironment, { handshakeMsMax: 300 }).listen(
    { port: 0, ...options },
    {
      linksMax,
      accept: () => ({
        opened: () => undefined,
        message: () => undefined,
        drained: () => undefined,
        closed: () => undefined,
      }),
    },
  );
  open.push(() => bound.close());
  return `ws://127.0.0.1:${bound.address.port}`;
}

test("three replicas in a chain come to hold what each wrote", async () => {
  const a = await node("a", []);
  const b = await node("b", [a.url]);
  const c = await node("c", [b.url]);
  a.collections.likes.increment("post", 1);
  b.collections.likes.increment("post", 10);
  c.collections.likes.increment("post", 100);
  c.collections.tags.add("post", "from c");
  await until(() => [a, b, c].every(({ collections }) => collections.likes.value("post") === 111));
  await until(() => a.collections.tags.has("post", "from c"));
  expect(b.sync.peers.map(({ state, name }) => [name, state])).toEqual([
    ["a", "streaming"],
    ["c", "streaming"],
  ]);
  expect(c.sync.members.isSynced).toBe(true);
});

test("a large state reaches a replica that comes later, in a series", async () => {
  const a = await node("a", []);
  for (let i = 0; i < 60_000; i++) a.collections.likes.increment(`key ${i}`, i + 1);
  const b = await node("b", [a.url]);
  await until(() => b.collections.likes.size() === 60_000);
  expect(b.collections.likes.value("key 59999")).toBe(60_000);
  const [view] = b.sync.peers;
  expect(view?.framesIn).toBeGreaterThan(1);
});

test("what was written right before a close still reaches the peers", async () => {
  const a = await node("a", []);
  const b = await node("b", [a.url]);
  await until(() => b.sync.members.isSynced);
  b.collections.likes.increment("last", 5);
  b.keyspace.close();
  await b.sync.close();
  expect(a.collections.likes.value("last")).toBe(5);
  await until(() => a.sync.peers.length === 0);
});

test("a peer that comes back on its port is found again", async () => {
  const a = await node("a", []);
  const port = a.sync.address?.port ?? 0;
  const b = await node("b", [a.url]);
  await until(() => b.sync.members.isSynced);
  await a.sync.close();
  b.collections.likes.increment("meanwhile", 2);
  const again = await node("a", [], { listen: { port } });
  await until(() => again.collections.likes.has("meanwhile"));
  expect(again.collections.likes.value("meanwhile")).toBe(2);
});

test("a dial with the right token is let in, others get 401 and an UnauthorizedError", async () => {
  const url = await quiet({ authenticate: ({ token }) => token === "right" });
  expect(await ending(url, "right")).toEqual({ reason: "opened" });
  expect((await ending(url, "wrong")).error).toBeInstanceOf(UnauthorizedError);
  expect((await ending(url)).error).toBeInstanceOf(UnauthorizedError);
});

test("a refused token shows in the status, and is not tried again in a hurry", async () => {
  let asked = 0;
  const a = await node("a", [], {
    listen: {
      port: 0,
      authenticate: () => {
        asked++;
        return Promise.resolve(false);
      },
    },
  });
  const b = await node("b", [{ url: a.url, token: "wrong" }]);
  await until(() => b.sync.peers[0]?.state === "refused");
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect(asked).toBe(1);
  expect(b.sync.peers[0]?.refused).toContain("401");
});

test("an authenticator that throws, or never answers, lets nobody in and does no harm", async () => {
  const throwing = await quiet({ authenticate: () => Promise.reject(new Error("no database")) });
  expect((await ending(throwing)).error).toBeInstanceOf(OverloadedError);
  const hanging = await quiet({ authenticate: () => new Promise(() => undefined) });
  expect((await ending(hanging)).reason).not.toBe("opened");
});

test("links beyond the bound are refused as overload", async () => {
  const url = await quiet({}, 2);
  expect((await ending(url)).reason).toBe("opened");
  expect((await ending(url)).reason).toBe("opened");
  expect((await ending(url)).error).toBeInstanceOf(OverloadedError);
});

test.each(["0.0.0.0", "::", "192.0.2.1", "example.org"])(
  "listening on %s without authentication is refused, and the option is named",
  async (host) => {
    const attempt = webSocketTransport(systemEnvironment).listen(
      { port: 0, host },
      { linksMax: 1, accept: () => expect.unreachable() },
    );
    await expect(attempt).rejects.toThrow(UsageError);
    await expect(attempt).rejects.toThrow("allowUnauthenticated");
  },
);

test("a port that is taken is refused as wrong use", async () => {
  const a = await node("a", []);
  const port = a.sync.address?.port ?? 0;
  await expect(quiet({ port })).rejects.toThrow(UsageError);
});

test.each(["http://127.0.0.1", "127.0.0.1:7000", "ws://user:secret@127.0.0.1", "", "ws://a/#b"])(
  "%j cannot be dialed",
  (url) => {
    expect(() => webSocketTransport(systemEnvironment).check(url)).toThrow(UsageError);
  },
);

test("what is no WebSocket server ends a dial with a reason", async () => {
  const http = createServer((_, response) => response.end("hello"));
  const url = await listener(http);
  expect((await ending(url)).reason).toContain("200");
  expect((await ending("ws://127.0.0.1:1")).reason).toContain("ECONNREFUSED");
});

test("a server that accepts and never answers ends a dial in time", async () => {
  const sockets: { destroy(): void }[] = [];
  const silent = createTcpServer((socket) => void sockets.push(socket));
  const port = await new Promise<number>((resolve) => {
    silent.listen(0, "127.0.0.1", () => resolve((silent.address() as AddressInfo).port));
  });
  expect((await ending(`ws://127.0.0.1:${port}`)).reason).not.toBe("opened");
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => silent.close(resolve));
});

test("a connection that says nothing, rubbish, or plain HTTP does no harm", async () => {
  const a = await node("a", []);
  const port = a.sync.address?.port ?? 0;
  for (const bytes of ["", "rubbish\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\0\0\0\0"]) {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(bytes);
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
  }
  const text = new WebSocket(a.url);
  text.on("error", () => undefined);
  await new Promise((resolve) => text.on("open", resolve));
  text.send("text");
  await new Promise((resolve) => text.on("close", resolve));
  const binary = new WebSocket(a.url);
  binary.on("error", () => undefined);
  await new Promise((resolve) => binary.on("open", resolve));
  binary.send(Buffer.from([1, 1, 2, 3]));
  await new Promise((resolve) => binary.on("close", resolve));
  const b = await node("b", [a.url]);
  await until(() => b.sync.members.isSynced);
  expect(a.sync.peers).toHaveLength(1);
});

test("a message beyond the limit ends the connection", async () => {
  const url = await quiet({});
  const socket = new WebSocket(url);
  socket.on("error", () => undefined);
  await new Promise((resolve) => socket.on("open", resolve));
  socket.send(Buffer.alloc(65 * 1024 * 1024));
  const code = await new Promise((resolve) => socket.on("close", resolve));
  expect([1006, 1009]).toContain(code);
});
