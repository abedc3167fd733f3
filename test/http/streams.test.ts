/** Events arrive, slow readers cost little, and nobody keeps a stream for ever. */
import { expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { RawConnection } from "./raw.ts";
import { at, type Served, served } from "./scene.ts";

interface Told {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: unknown;
}

/** A reader of events as browsers are. */
class Reader implements AsyncDisposable {
  readonly events: Told[] = [];
  beats = 0;
  isEnded = false;
  readonly #abort = new AbortController();
  #done: Promise<void> | undefined;

  static async open(peer: Served, path: string): Promise<Reader> {
    const reader = new Reader();
    const response = await fetch(peer.url + path, { signal: reader.#abort.signal });
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream")) throw new Error(`no events, but ${type}`);
    reader.#done = reader.#read(response).catch(() => undefined);
    return reader;
  }

  async #read(response: Response): Promise<void> {
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const parts = text.split("\n\n");
      text = parts.pop() ?? "";
      for (const part of parts) this.#take(part);
    }
    this.isEnded = true;
  }

  #take(part: string): void {
    if (part.startsWith(":")) {
      this.beats++;
      return;
    }
    const fields = new Map(
      part
        .split("\n")
        .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
    );
    const data: unknown = JSON.parse(fields.get("data") ?? "null");
    this.events.push({ id: fields.get("id"), event: fields.get("event") ?? "", data });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }
}

test("changes are told as they happen, with a version to wait for", async () => {
  await using peer = await served();
  await using all = await Reader.open(peer, "/v1/watch?collection=tags");
  await using some = await Reader.open(peer, "/v1/watch?collection=tags&prefix=a");
  await until("both are open", 5_000, () => all.events.length + some.events.length === 2);
  await peer.post(at("tags", "a", "/add"), { element: 1 });
  await peer.post(at("tags", "b", "/add"), { element: "x" });
  await until("both are told", 5_000, () => all.events.length === 3 && some.events.length === 2);
  expect(all.events.slice(1).map(({ event, data }) => [event, data])).toEqual([
    ["change", { key: "a", field: 1, origin: "local" }],
    ["change", { key: "b", field: "x", origin: "local" }],
  ]);
  await peer.replica.waitFor(all.events[2]?.id ?? "", { timeoutMs: 0 });
});

test("what another peer wrote is told as well, in collections of its own", async () => {
  await using other = await served();
  const replica = { peers: [other.url.replace("http", "ws")] };
  await using peer = await served({ replica });
  await peer.replica.synced();
  await using reader = await Reader.open(peer, "/v1/watch?collection=likes&key=k");
  await until("it is open", 5_000, () => reader.events.length === 1);
  const { headers } = await other.post(at("likes", "k", "/increment"));
  await until("it is told", 5_000, () => reader.events.length === 2);
  expect(reader.events[1]).toMatchObject({ event: "change", data: { key: "k", origin: "remote" } });
  const version = headers.get("trellis-version") ?? "";
  const read = await peer.get(at("likes", "k"), { headers: { "trellis-after": version } });
  expect(read.json).toEqual({ value: 1 });
});

test("a read waits for the version that it is to come after, for a bounded time", async () => {
  await using lone = await served();
  await using peer = await served({ afterMsMax: 100 });
  const { headers } = await lone.post(at("likes", "k", "/increment"));
  const after = { headers: { "trellis-after": headers.get("trellis-version") ?? "" } };
  const late = await peer.get(at("likes", "k"), after);
  expect([late.status, late.headers.get("retry-after")]).toEqual([503, "1"]);
  expect(late.json).toMatchObject({ code: "TRELLIS_WAIT_TIMEOUT" });
  const wrong = await peer.get(at("likes", "k"), { headers: { "trellis-after": "?" } });
  expect(wrong.status).toBe(422);
});

test("the status is told at once and again, and streams give signs of life", async () => {
  await using peer = await served({ statusMs: 20, heartbeatMs: 30 });
  await using status = await Reader.open(peer, "/v1/events");
  await using watch = await Reader.open(peer, "/v1/watch?collection=likes");
  await until("it is told", 5_000, () => status.events.length >= 3 && watch.beats >= 2);
  expect(status.events[0]).toMatchObject({ event: "status", data: { name: "replica" } });
});

test("streams are bounded, and end with the service", async () => {
  await using peer = await served({ streamsMax: 2, perSubjectShare: 1 });
  await using one = await Reader.open(peer, "/v1/watch?collection=likes");
  await using two = await Reader.open(peer, "/v1/events");
  const third = await peer.get("/v1/events");
  expect([third.status, third.headers.get("retry-after")]).toEqual([503, "1"]);
  await two[Symbol.asyncDispose]();
  await until("there is room", 5_000, async () => {
    const reader = await fetch(`${peer.url}/v1/events`);
    await reader.body?.cancel();
    return reader.status === 200;
  });
  await peer.service.close();
  await until("it is over", 5_000, () => one.isEnded);
});

test("who does not read costs one change a key, and is ended in the end", async () => {
  await using peer = await served({
    ...{ streamBufferBytesMax: 64 * 1024, streamStallMsMax: 1_000, heartbeatMs: 100 },
  });
  using raw = new RawConnection(peer.url);
  raw.send("GET /v1/watch?collection=likes HTTP/1.1", "Host: 127.0.0.1", "", "");
  await until("it is open", 5_000, () => raw.received.includes("event: open"));
  raw.socket.pause();
  const { likes } = peer.replica.collections;
  const name = "k".repeat(900);
  const before = process.memoryUsage().rss;
  let turns = 0;
  await until("it is cut off", 20_000, () => {
    for (let i = 0; i < 1_000; i++) likes.increment(`${name}${i % 200}`);
    turns++;
    raw.send("", "");
    return raw.socket.destroyed;
  });
  expect(turns).toBeGreaterThan(20);
  expect(process.memoryUsage().rss - before).toBeLessThan(256 * 1024 * 1024);
}, 30_000);
