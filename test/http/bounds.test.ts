/** What is too large, too deep, too slow or too much is refused in time, and nothing of it is done. */
import { expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { systemEnvironment } from "../../src/environment.ts";
import * as errors from "../../src/errors.ts";
import { rows } from "../../src/http/problem.ts";
import { silentTelemetry, type Telemetry } from "../../src/telemetry.ts";
import { RawConnection } from "./raw.ts";
import { at, served } from "./scene.ts";

test("every error has a status", () => {
  const codes = Object.entries(errors)
    .filter(([name]) => name !== "TrellisError")
    .map(
      ([, Class]) =>
        new (Class as new (message: string, fields: object) => errors.TrellisError)("", {}).code,
    );
  expect(Object.keys(rows).toSorted()).toEqual(codes.toSorted());
});

test("bodies have a type, a size, a depth and an encoding", async () => {
  await using peer = await served();
  const path = at("profile", "k");
  const put = (body: string | Uint8Array, type = "application/json"): Promise<Response> =>
    fetch(peer.url + path, { method: "PUT", body, headers: { "content-type": type } });
  expect((await put('{"value":1}', "text/plain")).status).toBe(415);
  expect((await put("value=1", "application/x-www-form-urlencoded")).status).toBe(415);
  expect((await put('{"value":1}', "application/json; charset=latin1")).status).toBe(415);
  expect((await put('{"value":')).status).toBe(400);
  expect((await put("[1]")).status).toBe(400);
  expect((await put(Uint8Array.of(123, 34, 255, 34, 125))).status).toBe(400);
  expect((await put('{"value":1,"more":2}')).status).toBe(422);
  expect((await put('{"__proto__":{"value":1}}')).status).toBe(422);
  expect((await put("{}")).status).toBe(422);
  const nested = (depth: number): string => `{"value":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  expect((await put(nested(65))).status).toBe(422);
  expect((await put(nested(100_000))).status).toBe(422);
  expect(peer.replica.collections.profile.has("k")).toBe(false);
  expect((await put(nested(64))).status).toBe(204);
  expect((await put('{"value":"\\ud800"}')).status).toBe(422);
});

test("a body that is too large is refused before it is read, and the connection ends", async () => {
  await using peer = await served();
  using raw = new RawConnection(peer.url);
  const head = [`PUT ${at("profile", "k")} HTTP/1.1`, "Host: 127.0.0.1"];
  raw.send(...head, "Content-Type: application/json", "Content-Length: 99999999", "", "{");
  expect(await raw.ended()).toMatch(/^HTTP\/1\.1 413 [\s\S]*TRELLIS_BODY_TOO_LARGE/u);
  // One that does not say how long it is.
  using chunked = new RawConnection(peer.url);
  chunked.send(...head, "Content-Type: application/json", "Transfer-Encoding: chunked", "", "");
  const chunk = "x".repeat(65_536);
  for (let i = 0; i < 20; i++) chunked.send("10000", chunk, "");
  expect(await chunked.ended()).toMatch(/^HTTP\/1\.1 413 /u);
  // And one that is refused for something else is not read either.
  using refused = new RawConnection(peer.url);
  refused.send(`PUT ${at("likes", "k")} HTTP/1.1`, ...head.slice(1));
  refused.send("", "Content-Type: text/plain", "Content-Length: 500000", "", "x");
  expect(await refused.ended()).toMatch(/^HTTP\/1\.1 415 [\s\S]*connection: close/iu);
});

test("a body that comes too slowly is given up", async () => {
  await using peer = await served({ bodyMsMax: 200 });
  using raw = new RawConnection(peer.url);
  raw.send(
    `PUT ${at("profile", "k")} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Content-Type: application/json",
  );
  raw.send("", "Content-Length: 20", "", '{"value"');
  expect(await raw.ended()).toMatch(/^HTTP\/1\.1 408 /u);
  expect(peer.replica.collections.profile.has("k")).toBe(false);
});

test("requests in one packet are answered in their order", async () => {
  await using peer = await served();
  using raw = new RawConnection(peer.url);
  const path = at("likes", "k", "/increment");
  for (let i = 0; i < 50; i++) raw.send(`POST ${path} HTTP/1.1`, "Host: 127.0.0.1", "", "");
  raw.send("GET /healthz HTTP/1.1", "Host: 127.0.0.1", "Connection: close", "", "");
  const text = await raw.ended();
  const values = [...text.matchAll(/\{"value":(\d+)\}/gu)].map(([, value]) => Number(value));
  expect(values).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  expect(text).toContain('{"status":"up"}');
});

test("HEAD is GET without a body, OPTIONS tells the methods", async () => {
  await using peer = await served();
  const head = await peer.ask("HEAD", at("likes", "k"));
  expect([head.status, head.text, head.headers.get("content-length")]).toEqual([200, "", "11"]);
  const options = await peer.ask("OPTIONS", at("likes", "k", "/increment"));
  expect([options.status, options.headers.get("allow")]).toEqual([204, "OPTIONS, POST"]);
  expect((await peer.ask("OPTIONS", "/nowhere")).status).toBe(404);
});

test("escalated operations that hang leave room for all others", async () => {
  const sheds = new Map<string, number>();
  const telemetry: Telemetry = {
    ...silentTelemetry,
    count: (name, _value, labels) => {
      if (name !== "trellis_http_sheds_total") return;
      const reason = labels?.["reason"] ?? "";
      sheds.set(reason, (sheds.get(reason) ?? 0) + 1);
    },
  };
  // It dials nobody, and has no authority in reach: whatever escalates waits.
  const replica = { peers: ["ws://127.0.0.1:1"] };
  const bounds = { escalatedMax: 8, perSubjectShare: 1, requestsMax: 4, telemetry };
  await using peer = await served({ replica, ...bounds });
  const hanging = Array.from({ length: 20 }, () =>
    peer.post(at("stock", "k", "/decrement"), { waitMs: 3_000 }),
  );
  await until("they hang", 5_000, () => sheds.get("escalated") === 12);
  for (let i = 0; i < 20; i++) {
    expect((await peer.post(at("likes", "k", "/increment"))).status).toBe(200);
  }
  const answers = await Promise.all(hanging);
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
  expect(answers.every(({ headers }) => headers.get("retry-after") !== null)).toBe(true);
}, 20_000);

test("one subject does not take all", async () => {
  const tokens = { greedy: ["read:*", "write:*"], modest: ["read:*", "write:*"] };
  const replica = { peers: ["ws://127.0.0.1:1"] };
  await using peer = await served({ replica, tokens, escalatedMax: 8 });
  const body = { waitMs: 1_500 };
  const of = (token: string): Promise<number> =>
    peer.post(at("stock", "k", "/decrement"), body, { token }).then(({ status }) => status);
  const greedy = await Promise.all(
    Array.from({ length: 10 }, (_, i) => (i < 8 ? of("greedy") : of("modest"))),
  );
  expect(greedy.slice(0, 8).filter((status) => status === 429)).toHaveLength(4);
  expect(greedy.slice(8)).toEqual([503, 503]);
}, 20_000);

test("a loop that is late sheds writes and still reads", async () => {
  // Timers of 50 ms that take 150.
  const environment = { ...systemEnvironment, monotonic: () => performance.now() * 3 };
  await using peer = await served({ lagMsMax: 50, environment, requestsMax: 16 });
  await expect.poll(async () => (await peer.post(at("likes", "k", "/increment"))).status).toBe(503);
  const { value } = (await peer.get(at("likes", "k"))).json as { readonly value: number };
  const write = await peer.post(at("likes", "k", "/increment"));
  expect([write.status, write.headers.get("retry-after")]).toEqual([503, "1"]);
  expect((await peer.get(at("likes", "k"))).json).toEqual({ value });
});

test("an answer that nobody reads is given up", async () => {
  await using peer = await served({ responseMsMax: 300 });
  for (let i = 0; i < 8; i++) peer.replica.collections.tags.add("k", `${i}${"x".repeat(60_000)}`);
  using raw = new RawConnection(peer.url);
  raw.socket.pause();
  for (let i = 0; i < 60; i++)
    raw.send(`GET ${at("tags", "k")} HTTP/1.1`, "Host: 127.0.0.1", "", "");
  await until("it is cut off", 10_000, () => {
    // Who does not read hears of it when it writes; empty lines are no request.
    raw.send("", "");
    return raw.socket.destroyed;
  });
  expect(raw.statuses.length).toBeLessThan(60);
}, 20_000);

test("bounds are positive", async () => {
  await expect(served({ requestsMax: 0 })).rejects.toThrow("requestsMax");
});
