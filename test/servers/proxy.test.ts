/** The bad network of the fault tests: it does what it is told, nothing else, and counts right. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Proxy } from "../../src/cli/servers/proxy.ts";
import { until } from "../../src/cli/servers/until.ts";

/** For what is expected to come. */
const soonMs = 5_000;
/** For what is expected not to come. */
const silenceMs = 60;

/** A server that answers with what it is sent, or as `answer` says. */
class Echo {
  readonly server: Server = createServer({ allowHalfOpen: true });
  readonly sockets: Socket[] = [];
  received = "";
  answer: (text: string) => string = (text) => text;

  constructor() {
    this.server.on("connection", (socket) => {
      this.sockets.push(socket);
      socket.on("error", () => undefined);
      socket.on("end", () => socket.end());
      socket.on("data", (chunk) => {
        this.received += chunk.toString();
        socket.write(this.answer(chunk.toString()));
      });
    });
  }

  get address(): string {
    const address = this.server.address();
    return `127.0.0.1:${typeof address === "object" ? address?.port : undefined}`;
  }
}

/** One connection to the proxy, and all that came of it. */
class Client {
  readonly socket: Socket;
  received = "";
  hasEnded = false;
  error: string | undefined;

  constructor(port: number) {
    this.socket = connect({ host: "127.0.0.1", port, noDelay: true });
    // Every question that waits listens.
    this.socket.setMaxListeners(100);
    this.socket.on("data", (chunk) => (this.received += chunk.toString()));
    this.socket.on("end", () => (this.hasEnded = true));
    this.socket.on("error", (error: NodeJS.ErrnoException) => (this.error = error.code));
  }

  /** Resolves when as much as was sent came back, with the time that took in ms. */
  async ask(text: string): Promise<number> {
    const startMs = performance.now();
    const want = this.received.length + text.length;
    this.socket.write(text);
    while (this.received.length < want) await once(this.socket, "data");
    return performance.now() - startMs;
  }
}

let echo: Echo;
let proxy: Proxy;
let clients: Client[];

const dial = async (): Promise<Client> => {
  const client = new Client(proxy.port);
  clients.push(client);
  await once(client.socket, "connect");
  return client;
};

beforeEach(async () => {
  clients = [];
  echo = new Echo();
  echo.server.listen({ host: "127.0.0.1", port: 0 });
  await once(echo.server, "listening");
  proxy = await Proxy.start(echo.address);
});

afterEach(async () => {
  for (const { socket } of clients) socket.destroy();
  await proxy.close();
  for (const socket of echo.sockets) socket.destroy();
  echo.server.close();
});

describe("a network that is well", () => {
  test("carries both directions and the end of each", async () => {
    const client = await dial();
    await client.ask("a\n");
    client.socket.end("b\n");
    await until("the end came back", soonMs, () => client.hasEnded);
    expect(client.received).toBe("a\nb\n");
    expect(client.error).toBeUndefined();
    await until("nothing is open", soonMs, () => proxy.openConnections === 0);
  });

  test("carries more than it keeps, unchanged", async () => {
    const client = await dial();
    const text = `${"0123456789".repeat(400_000)}\n`;
    await client.ask(text);
    expect(client.received).toBe(text);
  });

  test("resets a client when the server is not there", async () => {
    await using orphan = await Proxy.start("127.0.0.1:1");
    const client = new Client(orphan.port);
    clients.push(client);
    await until("the client was told", soonMs, () => client.error !== undefined);
    expect(client.error).toBe("ECONNRESET");
  });

  test("names itself in place of the server", () => {
    expect(proxy.through("redis://127.0.0.1:6379/0")).toBe(`redis://${proxy.address}/0`);
    expect(proxy.through("postgres://p@127.0.0.1:5432/d")).toBe(`postgres://p@${proxy.address}/d`);
    expect(proxy.through("127.0.0.1:2181")).toBe(proxy.address);
  });
});

describe("a slow network", () => {
  test("delays requests", async () => {
    const client = await dial();
    await client.ask("a\n");
    proxy.requests.delayMs = 500;
    const asked = client.ask("b\n");
    await until("it is under way", soonMs, () => proxy.traffic.requestBytes === 4);
    expect(echo.received).toBe("a\n");
    expect(await asked).toBeGreaterThanOrEqual(500);
  });

  test("delays replies", async () => {
    const client = await dial();
    await client.ask("a\n");
    proxy.replies.delayMs = 500;
    const asked = client.ask("b\n");
    await until("the server has it", soonMs, () => echo.received === "a\nb\n");
    expect(client.received).toBe("a\n");
    expect(await asked).toBeGreaterThanOrEqual(500);
  });

  test("delays by fractions of a millisecond, never less than told", async () => {
    const client = await dial();
    proxy.requests.delayMs = 1.3;
    proxy.replies.delayMs = 1.3;
    const times: number[] = [];
    for (let round = 0; round < 50; round += 1) times.push(await client.ask("a\n"));
    expect(Math.min(...times)).toBeGreaterThanOrEqual(2.6);
    expect(Math.min(...times)).toBeLessThan(5);
  });

  test("keeps what is under way in order and apart", async () => {
    const client = await dial();
    proxy.requests.delayMs = 40;
    const lines = Array.from({ length: 20 }, (_, index) => `${index}\n`);
    const startMs = performance.now();
    await Promise.all(lines.map(async (line) => await client.ask(line)));
    expect(client.received).toBe(lines.join(""));
    // Side by side, not one behind the other.
    expect(performance.now() - startMs).toBeLessThan(20 * 40);
  });

  test("throttles each direction", async () => {
    const client = await dial();
    proxy.replies.bytesPerSecond = 100_000;
    const tookMs = await client.ask(`${"a".repeat(20_000)}\n`);
    expect(tookMs).toBeGreaterThanOrEqual(195);
    expect(echo.received.length).toBe(20_001);
  });
});

describe("a network that loses", () => {
  test("loses replies only: the server does it, the client never hears", async () => {
    const client = await dial();
    proxy.replies.fate = "lose";
    client.socket.write("a\n");
    await until("the reply is lost", soonMs, () => proxy.traffic.replyBytesLost === 2);
    expect(echo.received).toBe("a\n");
    await sleep(silenceMs);
    expect(client.received).toBe("");
  });

  test("lets no later reply pass for the lost one, and lets new connections work", async () => {
    const client = await dial();
    proxy.replies.fate = "lose";
    client.socket.write("a\n");
    await until("the reply is lost", soonMs, () => proxy.traffic.replyBytesLost === 2);
    proxy.replies.fate = "pass";
    client.socket.write("b\n");
    await until("the server has both", soonMs, () => echo.received === "a\nb\n");
    await sleep(silenceMs);
    expect(client.received).toBe("");
    expect(await (await dial()).ask("c\n")).toBeGreaterThan(0);
  });

  test("swallows both directions: connected, and nothing else", async () => {
    proxy.requests.fate = "lose";
    proxy.replies.fate = "lose";
    const client = await dial();
    client.socket.write("a\n");
    await until("the request is lost", soonMs, () => proxy.traffic.requestBytesLost === 2);
    await sleep(silenceMs);
    expect([echo.received, client.received, client.hasEnded]).toEqual(["", "", false]);
  });

  test("loses what is under way when it begins", async () => {
    const client = await dial();
    proxy.requests.delayMs = 300;
    client.socket.write("a\n");
    await until("the request came", soonMs, () => proxy.traffic.requestBytes === 2);
    proxy.requests.fate = "lose";
    await until("the request is lost", soonMs, () => proxy.traffic.requestBytesLost === 2);
    expect(echo.received).toBe("");
  });

  test.each([
    ["end", "still loses"],
    ["resetAndDestroy", "still loses"],
    ["end", "is well again"],
    ["resetAndDestroy", "is well again"],
  ] as const)("hides that a client is gone by %s when it %s", async (how, state) => {
    const client = await dial();
    await client.ask("a\n");
    let isGone = false;
    const gone = (): boolean => (isGone = true);
    echo.sockets[0]?.once("end", gone).once("close", gone);
    proxy.requests.fate = "lose";
    client.socket.write("b\n");
    await until("the request is lost", soonMs, () => proxy.traffic.requestBytesLost === 2);
    if (state === "is well again") proxy.requests.fate = "pass";
    client.socket[how]();
    await sleep(silenceMs);
    expect(isGone).toBe(false);
    proxy.cut("reset");
    await until("the server knows", soonMs, () => isGone);
  });
});

describe("a network that holds", () => {
  test("delivers all in order once it passes again", async () => {
    const client = await dial();
    proxy.requests.fate = "hold";
    const asked = client.ask("a\n");
    const askedMore = client.ask("b\n");
    await sleep(silenceMs);
    expect(echo.received).toBe("");
    proxy.requests.fate = "pass";
    await Promise.all([asked, askedMore]);
    expect(client.received).toBe("a\nb\n");
  });

  test("makes a sender wait rather than keep without bound", async () => {
    const client = await dial();
    proxy.requests.fate = "hold";
    for (let sent = 0; sent < 32; sent += 1) client.socket.write(Buffer.alloc(1 << 20));
    await until("it keeps something", soonMs, () => proxy.traffic.requestBytes > 1 << 20);
    await sleep(silenceMs);
    expect(proxy.traffic.requestBytes).toBeLessThan(2 << 20);
  });
});

describe("a network that cuts", () => {
  test("resets both sides", async () => {
    const client = await dial();
    await client.ask("a\n");
    const serverSide = echo.sockets[0];
    let serverError: string | undefined;
    serverSide?.once("error", (error: NodeJS.ErrnoException) => (serverError = error.code));
    proxy.cut("reset");
    await until(
      "both were reset",
      soonMs,
      () => client.error !== undefined && serverError !== undefined,
    );
    expect([client.error, serverError]).toEqual(["ECONNRESET", "ECONNRESET"]);
    expect(await (await dial()).ask("b\n")).toBeGreaterThan(0);
  });

  test("ends both sides without an error, and delivers nothing that was under way", async () => {
    const client = await dial();
    proxy.replies.delayMs = 500;
    client.socket.write("a\n");
    await until("a reply is under way", soonMs, () => proxy.traffic.replyBytes === 2);
    proxy.cut("end");
    await until("the end came", soonMs, () => client.hasEnded);
    expect([client.received, client.error]).toEqual(["", undefined]);
    await until("nothing is open", soonMs, () => proxy.openConnections === 0);
  });

  test("leaves nothing open when it resets what it has just ended: a process with such a socket cannot end", async () => {
    const open = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
    const before = open();
    await dial();
    await until("the server has it, too", soonMs, () => echo.sockets.length === 1);
    proxy.cut("end");
    proxy.cut("reset");
    for (const { socket } of clients) socket.destroy();
    for (const socket of echo.sockets) socket.destroy();
    await until("all sockets are closed", soonMs, () => open() <= before);
    expect(proxy.openConnections).toBe(0);
  });
});

describe("the count", () => {
  test("is one round trip for each question that waits for the answer before", async () => {
    const client = await dial();
    for (const line of ["a\n", "b\n", "c\n"]) await client.ask(line);
    expect(proxy.traffic).toEqual({
      roundTrips: 3,
      requestBytes: 6,
      replyBytes: 6,
      requestBytesLost: 0,
      replyBytesLost: 0,
    });
  });

  test("is one round trip for questions that are sent together", async () => {
    const client = await dial();
    proxy.replies.delayMs = 20;
    await Promise.all(["a\n", "b\n", "c\n"].map(async (line) => await client.ask(line)));
    expect(proxy.traffic.roundTrips).toBe(1);
  });

  test("leaves out what a server sends unasked, and a question without an answer", async () => {
    const client = await dial();
    await client.ask("a\n");
    echo.sockets[0]?.write("pushed\n");
    await until("it came", soonMs, () => client.received === "a\npushed\n");
    echo.answer = () => "";
    client.socket.write("b\n");
    await until("the server has it", soonMs, () => echo.received === "a\nb\n");
    expect(proxy.traffic).toMatchObject({ roundTrips: 1, requestBytes: 4, replyBytes: 9 });
  });

  test("leaves out what only keeps a connection alive, if told what that is", async () => {
    await proxy.close();
    const isUpkeep = (requests: Buffer): boolean => requests.toString() === "ping\n";
    proxy = await Proxy.start(echo.address, { isUpkeep });
    const client = await dial();
    await client.ask("ping\n");
    await client.ask("a\n");
    await client.ask("ping\n");
    expect(proxy.traffic).toMatchObject({ roundTrips: 1, requestBytes: 12, replyBytes: 12 });
    expect(proxy.askingConnections).toBe(0);
  });

  test("is by connection, and begins again when told", async () => {
    const [first, second] = [await dial(), await dial()];
    await first.ask("a\n");
    await first.ask("b\n");
    await second.ask("long\n");
    const figures = proxy.connections.map(({ roundTrips, requestBytes }) => [
      roundTrips,
      requestBytes,
    ]);
    expect(figures).toEqual([
      [2, 4],
      [1, 5],
    ]);
    first.socket.destroy();
    await until("one is closed", soonMs, () => proxy.openConnections === 1);
    proxy.forget();
    expect(proxy.connections.map(({ roundTrips }) => roundTrips)).toEqual([0]);
    await second.ask("d\n");
    expect(proxy.traffic.roundTrips).toBe(1);
  });
});
