/** A token may do what it may: by collection and prefix, told nothing about the rest. */
import { expect, test } from "vitest";
import type { Logger } from "../../src/telemetry.ts";
import { at, served } from "./scene.ts";

const tokens = {
  reader: ["read:likes"],
  eu: ["read:likes/eu:", "write:likes/eu:", "write:tags/eu:"],
  watcher: ["observe"],
  none: [],
};

test("without a token, or with a wrong one, nothing is told", async () => {
  await using peer = await served({ tokens });
  for (const path of ["/v1/collections", at("likes", "k"), "/v1/status", "/nowhere", "/metrics"]) {
    const got = await peer.get(path);
    expect([path, got.status]).toEqual([path, 401]);
    expect(got.headers.get("www-authenticate")).toBe("Bearer");
    expect((await peer.get(path, { token: "wrong" })).status).toBe(401);
  }
  expect((await peer.get("/healthz")).status).toBe(200);
  expect((await peer.get("/readyz")).json).toEqual({ status: "ready", reasons: [] });
  expect((await peer.get("/openapi.json")).status).toBe(200);
});

test("rights are held against collection and key, before anybody looks", async () => {
  await using peer = await served({ tokens });
  peer.replica.collections.likes.increment("eu:1");
  peer.replica.collections.likes.increment("us:1");
  const statuses = async (token: string, ...paths: readonly string[]): Promise<number[]> =>
    Promise.all(paths.map(async (path) => (await peer.get(path, { token })).status));
  const eu = [at("likes", "eu:1"), at("likes", "eu:2"), "/v1/collections/likes?prefix=eu:"];
  const others = [at("likes", "us:1"), at("likes", "us:2"), at("nothing", "k"), at("tags", "eu:1")];
  expect(await statuses("eu", ...eu)).toEqual([200, 200, 200]);
  expect(await statuses("eu", ...others)).toEqual([403, 403, 403, 403]);
  expect(await statuses("eu", "/v1/collections/likes", "/v1/collections/likes?prefix=e")).toEqual([
    403, 403,
  ]);
  expect(await statuses("reader", ...eu, at("likes", "us:1"))).toEqual([200, 200, 200, 200]);
  // What is there and what is not is answered alike.
  const there = await peer.get(at("likes", "us:1"), { token: "eu" });
  const absent = await peer.get(at("likes", "us:9"), { token: "eu" });
  const without = ({ json }: { readonly json: unknown }): unknown => ({
    ...(json as object),
    requestId: "",
  });
  expect(without(there)).toEqual(without(absent));

  const write = (token: string, key: string): Promise<number> =>
    peer.post(at("likes", key, "/increment"), undefined, { token }).then(({ status }) => status);
  expect(
    await Promise.all([write("eu", "eu:1"), write("eu", "us:1"), write("reader", "eu:1")]),
  ).toEqual([200, 403, 403]);
  const listed = await peer.get("/v1/collections", { token: "eu" });
  expect(listed.json).toEqual({
    collections: [
      { name: "likes", type: "counter" },
      { name: "tags", type: "or-set" },
    ],
  });
});

test("a batch needs all its rights before it does anything", async () => {
  await using peer = await served({ tokens });
  const operation = (key: string): object => ({ operation: "increment", collection: "likes", key });
  const before = peer.replica.version();
  const operations = [operation("eu:1"), operation("us:1")];
  expect((await peer.post("/v1/batch", { operations }, { token: "eu" })).status).toBe(403);
  expect(peer.replica.version()).toBe(before);
  const allowed = [operation("eu:1"), operation("eu:2")];
  expect((await peer.post("/v1/batch", { operations: allowed }, { token: "eu" })).status).toBe(200);
});

test("what is to be observed needs that right", async () => {
  const metrics = {
    text: () => Promise.resolve("up 1\n"),
    contentType: "text/plain; version=0.0.4",
  };
  await using peer = await served({ tokens, metrics });
  for (const path of ["/v1/status", "/metrics", "/v1/events"]) {
    expect([path, (await peer.get(path, { token: "reader" })).status]).toEqual([path, 403]);
  }
  const status = await peer.get("/v1/status", { token: "watcher" });
  expect(status.json).toMatchObject({ name: "replica", storage: { kind: "memory" } });
  const got = await peer.get("/metrics", { token: "watcher" });
  expect([got.text, got.headers.get("content-type")]).toEqual(["up 1\n", metrics.contentType]);
  const watch = "/v1/watch?collection=likes";
  expect((await peer.get(watch, { token: "watcher" })).status).toBe(403);
  expect((await peer.get(watch, { token: "eu" })).status).toBe(403);
});

test("a peer says whether it is ready, and in words only to who may observe", async () => {
  const replica = { peers: ["ws://127.0.0.1:1"] };
  await using peer = await served({ tokens, replica });
  const got = await peer.get("/readyz");
  expect([got.status, got.json]).toEqual([
    503,
    { status: "not-ready", reasons: [{ reason: "not-synced" }] },
  ]);
  const told = await peer.get("/readyz", { token: "watcher" });
  expect(JSON.stringify(told.json)).toContain("configured peers");
  await using late = await served({ replica, readyMsMax: 50 });
  await expect.poll(async () => (await late.get("/readyz")).status).toBe(200);
  late.service.drain();
  expect((await late.get("/readyz")).json).toEqual({
    status: "not-ready",
    reasons: [{ reason: "draining" }],
  });
  expect((await late.get(at("likes", "k"))).status).toBe(200);
});

test("a page has what no route has", async () => {
  await using peer = await served({
    tokens,
    page: ({ url }, response) => {
      if (url !== "/") return false;
      response.writeHead(200, { "content-type": "text/html" }).end("<p>page");
      return true;
    },
  });
  expect((await peer.get("/")).text).toBe("<p>page");
  expect((await peer.get("/other")).status).toBe(404);
});

test("log lines have neither keys nor values, unless they shall", async () => {
  const lines: string[] = [];
  const log = (fields: object, message: string): number =>
    lines.push(JSON.stringify({ ...fields, message }));
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const headers = { "x-request-id": "mine-1" };
  {
    await using peer = await served({ tokens, logger });
    const path = at("profile", "secret-key");
    await peer.put(path, "secret-value", { token: "full", headers });
    await peer.put(path, "secret-value", { token: "eu", headers });
    await peer.get(path, { token: "wrong" });
    await peer.get(path, { headers: { "x-request-id": "no good\u00e9" } });
  }
  expect(lines).toHaveLength(4);
  expect(lines.join()).not.toContain("secret");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    ...{ method: "PUT", route: "/v1/collections/{collection}/{key}", status: 204 },
    ...{ subject: "full", requestId: "mine-1", message: "a request was answered" },
  });
  expect(JSON.parse(lines[1] ?? "")).toMatchObject({ status: 403, code: "TRELLIS_FORBIDDEN" });
  expect(lines[3]).not.toContain("no good");
  await using peer = await served({ logger, logKeys: true });
  await peer.get(at("likes", "shown"));
  expect(lines.at(-1)).toContain("/likes/shown");
});
