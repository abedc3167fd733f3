/** What a live peer says of itself, over HTTP: once, every second, on a terminal and elsewhere. */
import { execFile, spawn } from "node:child_process";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { printed } from "../../src/cli/status/print.ts";
import { reportOf, troublesOf } from "../../src/cli/status/report.ts";
import { serveHttp } from "../../src/http.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import {
  boundedCounter,
  counter,
  openReplica,
  type Replica,
  type Schema,
} from "../../src/index.ts";
import { assertBuilt, Run, run } from "./command.ts";

beforeAll(assertBuilt);
const servers = new Set<Server>();
afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  servers.clear();
});

/** A peer that answers as `listener` does. */
async function stub(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.add(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const urlOf = ({ address }: Replica<Schema>): string => `ws://127.0.0.1:${address?.port ?? 0}`;

/** The first snapshot of `/v1/events` that has a hot key, while `change` is done again and again. */
async function snapshotsOf(shop: Replica<Schema>, change: () => void): Promise<unknown> {
  const url = urlOf(shop).replace("ws:", "http:");
  const { body } = await fetch(`${url}/v1/events`);
  const again = setInterval(change, 20);
  try {
    let text = "";
    for await (const part of body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += part;
      const found = text.split("\n").findLast((line) => /^data: .*"hotKeys":\[\{.*\}$/u.test(line));
      if (found !== undefined) return JSON.parse(found.slice(6));
    }
    throw new Error("the stream ended");
  } finally {
    clearInterval(again);
  }
}

const plain = {
  ...{
    actor: "ab".repeat(16),
    name: "shop",
    members: 1,
    peers: [],
    rights: [],
    keys: { likes: 3 },
  },
  ...{
    clock: { lastStampMs: 0, aheadMs: 0 },
    storage: { kind: "memory" },
    locks: { kind: "none" },
  },
  ...{ bytes: 1, forks: 0, removalsKept: 0 },
};
const events = (count: number): string =>
  `: hello\n\n${`event: status\ndata: ${JSON.stringify(plain)}\n\n`.repeat(count)}`;

describe("trellis status", () => {
  test("shows what a peer says of itself, and ends with 1 while something is wrong", async () => {
    const listen = { port: 0, authenticate: ({ token }: { token?: string }) => token === "secret" };
    await using shop = await openReplica({ schema: { likes: counter() }, name: "shop", listen });
    await using _http = serveHttp(shop);
    shop.collections.likes.increment("post");
    const fine = await run("status", urlOf(shop), "--token", "secret");
    expect(fine).toMatchObject({ status: 0, errors: "" });
    expect(fine.output).toContain("nothing is wrong");
    expect(fine.output).toMatch(/"likes" +│ 1/u);
    expect((await run("status", urlOf(shop))).errors).toContain(
      "a token that may observe is needed",
    );
    shop.addPeer("ws://127.0.0.1:9");
    await expect.poll(() => shop.status().peers[0]?.lastEnd).toBeDefined();
    const wrong = await run(
      "status",
      urlOf(shop).replace("ws:", "http:"),
      "--token",
      "secret",
      "--json",
    );
    expect(wrong.status).toBe(1);
    const { troubles, status } = JSON.parse(wrong.output) as {
      readonly troubles: readonly string[];
      readonly status: { readonly actor: string };
    };
    expect(troubles).toEqual([
      expect.stringMatching(/^ws:\/\/127.0.0.1:9 is not linked: .*ECONNREFUSED/u),
    ]);
    expect(status.actor).toBe(shop.status().actor);
  });

  test.each<readonly [what: string, listener: RequestListener, said: string]>([
    ["no status", (_, response) => response.end("[1]"), "no status of a peer"],
    ["no JSON", (_, response) => response.end("<html>"), "something else than JSON"],
    ["nothing", (_, response) => void response.writeHead(404).end(), "HTTP 404"],
    ["too much", (_, response) => flood(response), "more than"],
    ["not at all", () => undefined, "cannot be asked"],
  ])("of a server that answers with %s says so", async (_, listener, said) => {
    const outcome = await run("status", await stub(listener), "--timeout", "3");
    expect(outcome).toMatchObject({ status: 1, output: "" });
    expect(outcome.errors).toContain(said);
  });

  test("names everything that may be wrong", () => {
    const report = reportOf({
      ...plain,
      storage: { kind: "durable", location: "/data", pending: 3, failure: "ENOSPC" },
      locks: { kind: "backend", name: "etcd", calls: "open", active: 0, queued: 2 },
      rights: [
        { collection: "stock", key: "s", rights: 1, waiting: 2, stopped: "a store is behind" },
      ],
      forks: 1,
      clock: { aheadMs: 60_000 },
      peers: [
        { name: "a", state: "refused", refused: "clock", lagBatches: 0, lagMs: 0 },
        { name: "b", state: "waiting", lastEnd: "gone" },
        { name: "c", state: "streaming", lagMs: 20_000 },
        { name: "\u001B[2J", state: "streaming", lagMs: 1 },
      ],
    });
    expect(troublesOf(report)).toEqual([
      "nothing is durable: ENOSPC",
      "somebody else wrote as this replica, 1 times: it runs twice",
      "the circuit to etcd is open",
      "rights of stock s: a store is behind",
      "a is refused: clock",
      "b is not linked: gone",
      "c has not answered for 20000 ms",
      "stamps are 60000 ms ahead of its clock",
    ]);
    // What a peer is called cannot act on the terminal.
    expect(printed(report, { url: "ws://a", rowsMax: 9, nowMs: 0 })).not.toContain("\u001B");
  });
});

/** Much more than anybody takes. */
function flood(response: Parameters<RequestListener>[1]): void {
  response.on("error", () => undefined);
  const more = (): void => {
    while (!response.destroyed && response.write("x".repeat(65_536)));
    if (!response.destroyed) response.once("drain", more);
  };
  more();
}

describe("trellis top", () => {
  test("prints a line a second where there is no terminal", async () => {
    await using shop = await openReplica({ schema: { likes: counter() }, listen: { port: 0 } });
    await using other = await openReplica({ schema: { likes: counter() }, peers: [urlOf(shop)] });
    await other.synced();
    await using _http = serveHttp(shop);
    shop.collections.likes.increment("post");
    const { status, output } = await run("top", urlOf(shop), "--count", "2");
    expect(status).toBe(0);
    const lines = output.trim().split("\n");
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(
      /peers 1\/1 {2}lag 0 batches {2}in [\d,]+ B\/s, out [\d,]+ B\/s {2}keys 1 /u,
    );
    const json = await run("top", urlOf(shop), "--count", "1", "--json");
    expect(JSON.parse(json.output)).toMatchObject({ status: { actor: shop.status().actor } });
  });

  test("shows of a live peer what its status does, and the keys that are hot", async () => {
    const schema = {
      likes: counter(),
      stock: boundedCounter({ min: 0, initial: 5, weakFence: true }),
    };
    await using shop = await openReplica({
      schema,
      listen: { port: 0 },
      locks: embeddedLocks({ host: true }),
    });
    await using _http = serveHttp(shop);
    await shop.collections.stock.decrement("sku");
    const told = await snapshotsOf(shop, () => shop.collections.likes.increment("post"));
    const [fromStatus, fromEvents] = [shop.status(), told].map((one) => {
      const { peers, keys, locks, rights, bytes, members } = reportOf(one);
      const counts = keys.map(([name, count]) => `${name}: ${count}`).sort();
      return { peers, counts, locks, rights, bytes, members };
    });
    expect(fromEvents).toEqual(fromStatus);
    expect(reportOf(told).keys).toContainEqual(["stock", 1, "bounded-counter"]);
    expect(reportOf(told).hotKeys[0]).toMatchObject({ collection: "likes", key: "post" });
  });

  test("ends when whoever reads it has seen enough", async () => {
    await using shop = await openReplica({ schema: {}, listen: { port: 0 } });
    await using _http = serveHttp(shop);
    const command = `set -o pipefail; ${process.execPath} dist/cli/main.js top ${urlOf(shop)} | head -1`;
    const { stdout, stderr } = await promisify(execFile)("bash", ["-c", command], {
      timeout: 20_000,
    });
    expect(stdout.trim().split("\n")).toHaveLength(1);
    expect(stderr).toBe("");
  }, 30_000);

  test("goes on when the stream ends, and ends by a signal with status 0", async () => {
    let asked = 0;
    const url = await stub((_, response) => {
      asked++;
      response.end(events(1));
    });
    await using top = new Run(["top", url]);
    await top.firstLine();
    await expect.poll(() => asked, { timeout: 10_000 }).toBeGreaterThan(1);
    top.signal("SIGTERM");
    const { status, output } = await top.outcome;
    expect(status).toBe(0);
    expect(output).toContain("it is asked again");
  });

  test.each([["q"], ["\u0003"]])(
    "on a terminal ends at %j, and leaves it as it was",
    async (key) => {
      const url = await stub((_, response) => void response.write(events(1)));
      // A terminal that says at its end how it was left.
      const command = `${process.execPath} dist/cli/main.js top ${url}; echo status $?; stty -a`;
      const child = spawn("script", ["-qfec", command, "/dev/null"], { stdio: "pipe" });
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
      await expect.poll(() => output, { timeout: 20_000 }).toContain("q ends");
      child.stdin.write(key);
      const code = await new Promise((resolve) => child.once("close", resolve));
      expect(code).toBe(0);
      expect(output).toContain("\u001B[?1049h");
      expect(output).toContain("\u001B[?25h\u001B[?1049l");
      expect(output).toContain("status 0");
      expect(output).toMatch(/[ ;]icanon/u);
      expect(output).toMatch(/[ ;]echo[ ;]/u);
    },
  );
});
