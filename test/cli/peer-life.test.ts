/** How `trellis peer` starts, is told, and ends. */
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { resolve } from "../../src/cli/peer/resolve.ts";
import { RunningPeer } from "../../src/cli/peer/running.ts";
import { until } from "../../src/cli/servers/until.ts";
import { counter, fencedRegister, openReplica, orSet } from "../../src/index.ts";
import { assertBuilt, run, Run } from "./command.ts";
import { damage } from "./damage.ts";

const manifest = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { readonly version: string };
let folder = "";

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-life-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a peer starts", () => {
  test("and says its version, where its settings come from, and its limits", async () => {
    const config = join(folder, "peer.yaml");
    await writeFile(config, "name: filed\ncollections: { likes: counter }\n", { mode: 0o600 });
    await using peer = new Run(["peer", "--listen", "0", "--config", config], {
      TRELLIS_DRAIN_MS: "100",
      TRELLIS_LISTN_PORT: "1",
    });
    const line = await peer.logged("the peer starts");
    expect(line).toMatchObject({
      ...{ name: "filed", version: manifest.version, config },
      settings: {
        ...{ name: "peer.yaml:1", collections: "peer.yaml:2" },
        ...{ "listen.port": "--listen", drainMs: "TRELLIS_DRAIN_MS" },
      },
    });
    expect(Object.keys(line)).toContain("limits");
    expect(await peer.logged("no setting has the variable TRELLIS_LISTN_PORT")).toBeDefined();
  });

  test("with the collections that it declares, and refuses other types under their names", async () => {
    const config = join(folder, "peer.yaml");
    await writeFile(config, "collections:\n  likes: counter\n");
    await using peer = new Run(["peer", "--listen", "0", "--config", config]);
    const url = await peer.firstLine();
    await using stranger = await openReplica({ schema: { likes: orSet() }, peers: [url] });
    await until("the stranger is refused", 10_000, () =>
      stranger.status().peers.some(({ refused }) => refused !== undefined),
    );
    expect(stranger.status().peers[0]?.refused).toContain("likes");
  });

  test("as the lock authority of its cluster when it is told so", async () => {
    const storage = join(folder, "peer");
    await using peer = new Run(["peer", "--listen", "0", "--locks-host", "--storage", storage]);
    const url = await peer.firstLine();
    await using replica = await openReplica({
      schema: { balance: fencedRegister<number>() },
      peers: [url],
    });
    await replica.collections.balance.update("a", () => 7, { waitMs: 10_000 });
    expect(await replica.collections.balance.read("a")).toBe(7);
  });
});

describe("a peer ends", () => {
  test("with 0 after SIGTERM, and what it was given is at its peers", async () => {
    await using first = new Run(["peer", "--listen", "0"]);
    const url = await first.firstLine();
    await using second = new Run(["peer", "--listen", "0", "--join", url]);
    const writer = await openReplica({
      schema: { likes: counter() },
      peers: [await second.firstLine()],
    });
    await writer.synced();
    writer.collections.likes.increment("a", 5);
    const version = writer.version();
    await writer.acknowledged(version, { by: 1 });
    second.signal("SIGTERM");
    const { status, errors } = await second.outcome;
    expect(status).toBe(0);
    expect(errors).toContain("the peer has ended");
    await writer.close();
    await using reader = await openReplica({ schema: { likes: counter() }, peers: [url] });
    await reader.waitFor(version);
    expect(reader.collections.likes.value("a")).toBe(5);
  });

  test("at once with 143 after a second SIGTERM", async () => {
    await using stalled = new Run(["peer", "--listen", "0"]);
    await using peer = new Run(["peer", "--listen", "0", "--join", await stalled.firstLine()]);
    await using writer = await openReplica({
      schema: { likes: counter() },
      peers: [await peer.firstLine()],
    });
    await writer.synced();
    writer.collections.likes.increment("a");
    await writer.acknowledged(writer.version(), { by: 1 });
    // It acknowledges nothing, so that the peer waits for it.
    stalled.signal("SIGSTOP");
    writer.collections.likes.increment("a");
    await writer.acknowledged(writer.version(), { by: 1 });
    peer.signal("SIGTERM");
    await peer.logged("the peer closes");
    peer.signal("SIGTERM");
    expect(await peer.outcome).toMatchObject({ status: 143 });
  });

  test.each<[string, number]>([
    ["a directory that another has", 69],
    ["damage on its disk", 74],
  ])("with a status of its own after %s: %i", async (what, status) => {
    const storage = join(folder, "peer");
    const schema = { likes: counter() };
    const other = await openReplica({ schema, storage });
    for (let i = 0; i < 500; i++) other.collections.likes.increment(`key ${i}`);
    if (status === 74) {
      await other.close();
      await damage(storage);
    }
    const outcome = await run("peer", "--listen", "0", "--storage", storage);
    expect({ what, ...outcome }).toMatchObject({ status, output: "" });
    await other.close();
  });

  test("with 74 when there is no directory to be had", async () => {
    const path = join(folder, "file");
    await writeFile(path, "");
    expect(await run("peer", "--listen", "0", "--storage", join(path, "peer"))).toMatchObject({
      status: 74,
    });
  });

  test("with 70 after an error that nobody caught, and logs it", async () => {
    const fault = join(folder, "fault.mjs");
    await writeFile(fault, 'process.on("SIGUSR2", () => { throw new Error("boom"); });');
    await using peer = new Run(["peer", "--listen", "0"], { NODE_OPTIONS: `--import=${fault}` });
    await peer.firstLine();
    peer.signal("SIGUSR2");
    const { status, errors } = await peer.outcome;
    expect(status).toBe(70);
    expect(errors).toMatch(/"level":60.*boom.*nobody caught/u);
  });

  test.each<[string, readonly string[], string]>([
    [
      "a token file",
      ["--token-file", "/nowhere/token"],
      "tokenFile: /nowhere/token cannot be read",
    ],
    ["a certificate", ["--tls-cert", "/nowhere/c", "--tls-key", "/nowhere/k"], "/nowhere/c"],
    ["a config file", ["--config", "/nowhere/peer.yaml"], "the config file /nowhere/peer.yaml"],
  ])("with 2 when %s is not there", async (_what, flags, said) => {
    const outcome = await run("peer", "--listen", "0", ...flags);
    expect(outcome).toMatchObject({ status: 2, output: "" });
    expect(outcome.errors).toContain(said);
  });
});

describe("a peer drains", () => {
  test("unready at once, then nothing new, then what is under way, then its links", async () => {
    const { settings } = await resolve({
      flags: new Map([["listen.port", ["0"]]]),
      ...{ variables: {}, config: undefined },
    });
    const order: string[] = [];
    let rest = (): void => undefined;
    const underWay = new Promise<void>((done) => (rest = done));
    const peer = await RunningPeer.open(settings, {
      logger: pino({ level: "silent" }),
      offer: {
        serve: () => ({
          drain: () => void order.push("unready"),
          close: async () => {
            order.push("closing");
            await underWay;
            order.push("done");
          },
        }),
      },
    });
    const { replica } = peer;
    const url = `ws://127.0.0.1:${replica.address?.port}`;
    await using linked = await openReplica({ schema: { likes: counter() }, peers: [url] });
    await linked.synced();
    const draining = peer.drain();
    expect(order).toEqual(["unready", "closing"]);
    expect(await knock(replica.address?.port ?? 0)).toBe("ECONNREFUSED");
    // Links that stand go on: what a request still writes goes out.
    linked.collections.likes.increment("a");
    await linked.acknowledged(linked.version(), { by: 1 });
    rest();
    await draining;
    expect(order).toEqual(["unready", "closing", "done"]);
    expect(() => replica.status()).toThrow(/closed/u);
  });
});

describe("a peer that serves HTTP", () => {
  /** A request whose body is on its way; resolves when the peer waits for it. */
  async function halfAsked(port: number): Promise<{ socket: Socket; answer: Promise<string> }> {
    const socket = connect(port, "127.0.0.1");
    socket.setEncoding("utf8");
    let text = "";
    const answer = new Promise<string>((told) => void socket.on("close", () => told(text)));
    const waits = new Promise<void>((told) => {
      socket.on("data", (more: string) => {
        text += more;
        if (text.includes("100 Continue")) told();
      });
    });
    socket.on("error", () => undefined);
    socket.write(
      "POST /v1/collections/likes/a/increment HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n" +
        "Content-Type: application/json\r\nContent-Length: 8\r\nConnection: close\r\n\r\n",
    );
    await waits;
    return { socket, answer };
  }

  async function peerOf(drainMs: string): Promise<{ peer: Run; port: number }> {
    const config = join(folder, "peer.yaml");
    await writeFile(config, "collections: { likes: counter }\n");
    const peer = new Run(["peer", "--listen", "0", "--config", config, "--drain-ms", drainMs]);
    return { peer, port: Number(new URL(await peer.firstLine()).port) };
  }

  test("drains what is under way, and takes nothing new", async () => {
    const { peer: running, port } = await peerOf("20000");
    await using peer = running;
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect(`${ready.status} ${await ready.text()}`).toMatch(/^200 /u);
    const { socket, answer } = await halfAsked(port);
    peer.signal("SIGTERM");
    await peer.logged("the peer closes");
    await until("nobody is let in", 10_000, async () => (await knock(port)) === "ECONNREFUSED");
    socket.write('{"by":3}');
    expect(await answer).toMatch(/HTTP\/1\.1 200 [\s\S]*3/u);
    expect(await peer.outcome).toMatchObject({ status: 0 });
  });

  test("drains no longer than it may", async () => {
    const { peer: running, port } = await peerOf("300");
    await using peer = running;
    const { answer } = await halfAsked(port);
    peer.signal("SIGTERM");
    expect(await answer).not.toContain(" 200 ");
    expect(await peer.outcome).toMatchObject({ status: 0 });
  });

  test("shows a page at / until it is told not to", async () => {
    await using peer = new Run(["peer", "--listen", "0"]);
    const shown = await fetch((await peer.firstLine()).replace("ws:", "http:"));
    expect([shown.status, shown.headers.get("content-type")]).toEqual([
      ...[200, "text/html; charset=utf-8"],
    ]);
    await using plain = new Run(["peer", "--listen", "0", "--dashboard", "false"]);
    expect((await fetch((await plain.firstLine()).replace("ws:", "http:"))).status).toBe(404);
  });

  test("counts what was refused, and shows it to who may observe", async () => {
    await using peer = new Run(["peer", "--listen", "0"], { TRELLIS_TOKEN: "cluster-token-0123" });
    const url = (await peer.firstLine()).replace("ws:", "http:");
    const as = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });
    expect((await fetch(`${url}/metrics`, as("guess"))).status).toBe(401);
    const shown = await fetch(`${url}/metrics`, as("cluster-token-0123"));
    expect(await shown.text()).toMatch(/^trellis_refused_total\{.*unauthenticated.*\} 1$/mu);
  });

  test("serves none where it is switched off", async () => {
    await using peer = new Run(["peer", "--listen", "0", "--http", "false"]);
    const url = (await peer.firstLine()).replace("ws:", "http:");
    expect((await fetch(`${url}/healthz`)).status).toBe(426);
  });
});

/** What comes of a new connection. */
const knock = async (port: number): Promise<string> =>
  await new Promise((told) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      told("connected");
    });
    socket.on("error", (error) => told("code" in error ? String(error.code) : error.message));
  });
