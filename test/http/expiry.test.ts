/** Keys that expire and rates, over HTTP: whatever a type can do, and deadlines; hits, and limits. */
import { expect, test } from "vitest";
import { flag, lwwRegister, mvRegister, openReplica, orMap, orSet } from "../../src/index.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { serveHttp } from "../../src/http.ts";
import { at, Served, served } from "./scene.ts";

const hourMs = 3_600_000;

async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error("it did not come to be");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test("a key that expires has a deadline, which is read, set and taken away", async () => {
  await using peer = await served();
  const expiry = at("sessions", "s:1", "/expiry");
  expect((await peer.get(expiry)).status).toBe(404);
  const atMs = Date.now() + hourMs;
  expect((await peer.ask("PUT", expiry, { body: { atMs } })).status).toBe(404);

  await peer.put(at("sessions", "s:1", "/fields/user"), "u:7");
  expect((await peer.get(at("sessions", "s:1"))).json).toEqual({ value: { user: "u:7" }, size: 1 });
  const { json } = await peer.get(expiry);
  expect(json).toEqual({ atMs: peer.replica.collections.sessions.expiresAt("s:1") });
  const set = await peer.ask("PUT", expiry, { body: { atMs } });
  expect([set.status, set.json]).toEqual([200, { atMs }]);
  expect(set.headers.get("trellis-version")).toBeTruthy();
  expect(peer.replica.collections.sessions.expiresAt("s:1")).toBe(atMs);
  expect((await peer.ask("PUT", expiry, { body: { atMs: null } })).json).toEqual({ atMs: null });
  expect((await peer.get(expiry)).json).toEqual({ atMs: null });
  await peer.ask("DELETE", at("sessions", "s:1"));
  expect((await peer.get(expiry)).status).toBe(404);
});

test("what is no deadline is refused, and so is one where keys do not expire", async () => {
  await using peer = await served();
  await peer.put(at("invites", "i"), 1);
  for (const atMs of ["x", -1, 0.5, 8.7e15, Date.now() + 11 * 366 * 24 * hourMs, true]) {
    const { status } = await peer.ask("PUT", at("invites", "i", "/expiry"), { body: { atMs } });
    expect([atMs, status]).toEqual([atMs, 422]);
  }
  expect((await peer.ask("PUT", at("invites", "i", "/expiry"), { body: {} })).status).toBe(422);
  for (const collection of ["prefs", "likes", "logins", "coupon"]) {
    const path = at(collection, "k", "/expiry");
    const put = await peer.ask("PUT", path, { body: { atMs: null } });
    expect([collection, put.status, put.headers.get("allow")]).toEqual([collection, 405, ""]);
    expect((await peer.get(path)).status).toBe(405);
  }
});

test("a key whose deadline has passed is gone, and is begun anew by a write", async () => {
  await using peer = await served();
  await peer.put(at("invites", "i"), "old");
  await peer.ask("PUT", at("invites", "i", "/expiry"), { body: { atMs: 1 } });
  await until(async () => (await peer.get(at("invites", "i"))).status === 404);
  expect((await peer.get("/v1/collections/invites")).json).toEqual({ keys: [] });
  await peer.put(at("invites", "i"), "new");
  expect((await peer.get(at("invites", "i"))).json).toEqual({ value: "new" });
  expect((await peer.get(at("invites", "i", "/expiry"))).json).toEqual({ atMs: null });
});

test("every type that may expire has all that it has otherwise", async () => {
  const expires = { expireAfterMs: hourMs };
  const schema = {
    ...{ tags: orSet(expires), draft: mvRegister(expires), live: flag(expires) },
    ...{ profile: lwwRegister(expires), cart: orMap({ qty: lwwRegister<number>() }, expires) },
  };
  const locks = embeddedLocks({ host: true });
  await using replica = await openReplica({ schema, listen: { port: 0 }, locks });
  await using service = serveHttp(replica, { lagMsMax: 60_000 });
  const peer = Object.assign(Object.create(Served.prototype) as Served, {
    ...{ service, url: `http://127.0.0.1:${replica.address?.port ?? 0}` },
  });
  expect((await peer.post(at("tags", "k", "/add"), { element: 1 })).json).toEqual({ size: 1 });
  expect((await peer.put(at("draft", "k"), "x")).status).toBe(204);
  expect((await peer.put(at("profile", "k"), "x")).status).toBe(204);
  expect((await peer.post(at("live", "k", "/enable"))).json).toEqual({ value: true });
  expect((await peer.put(at("cart", "k", "/entries/e/qty"), 2)).status).toBe(204);
  expect((await peer.get(at("cart", "k", "/entries/e"))).json).toEqual({ value: { qty: 2 } });
  const { json } = await peer.get("/v1/collections");
  expect(json).toMatchObject({
    collections: Object.entries(schema).map(([name, { base }]) => ({
      ...{ name, type: base.kind, expires: true },
    })),
  });
  for (const name of Object.keys(schema)) {
    const expiry = await peer.get(at(name, "k", "/expiry"));
    expect([name, expiry.json]).toEqual([name, { atMs: expect.any(Number) as number }]);
    expect((await peer.ask("DELETE", at(name, "k"))).status).toBe(204);
    expect((await peer.get(at(name, "k", "/expiry"))).status).toBe(404);
  }
});

test("hits are counted, up to a limit if there is one, and forgiven", async () => {
  await using peer = await served();
  const hit = at("logins", "ip:1", "/hit");
  expect((await peer.get(at("logins", "ip:1"))).json).toEqual({ value: 0 });
  expect((await peer.post(hit)).json).toEqual({ accepted: true, value: 1 });
  expect((await peer.post(hit, { by: 2, limit: 3 })).json).toEqual({ accepted: true, value: 3 });
  const refused = await peer.post(hit, { limit: 3 });
  expect([refused.status, refused.json]).toEqual([200, { accepted: false, value: 3 }]);
  expect((await peer.post(hit, { by: 2 })).json).toEqual({ accepted: true, value: 5 });
  for (const body of [{ limit: -1 }, { limit: "3" }, { limit: null }, { by: 0 }, { of: 1 }]) {
    expect([body, (await peer.post(hit, body)).status]).toEqual([body, 422]);
  }
  expect((await peer.get(at("logins", "ip:1"))).json).toEqual({ value: 5 });
  expect((await peer.get("/v1/collections/logins")).json).toEqual({ keys: ["ip:1"] });
  expect((await peer.ask("DELETE", at("logins", "ip:1"))).status).toBe(204);
  expect((await peer.get(at("logins", "ip:1"))).json).toEqual({ value: 0 });
});

test("a repeated hit gets the answer that it had, also when it was refused", async () => {
  await using peer = await served();
  const send = (key: string): Promise<unknown> =>
    peer
      .post(at("logins", "k", "/hit"), { limit: 1 }, { headers: { "idempotency-key": key } })
      .then(({ json }) => json);
  const first = { accepted: true, value: 1 };
  const second = { accepted: false, value: 1 };
  expect([await send("a"), await send("b"), await send("a"), await send("b")]).toEqual([
    ...[first, second, first, second],
  ]);
});

test("a batch sets deadlines and counts hits: all of it or none", async () => {
  await using peer = await served();
  const atMs = Date.now() + hourMs;
  const write = { operation: "setField", collection: "sessions", key: "s", field: "f", value: 1 };
  const deadline = { operation: "expireAt", collection: "sessions", key: "s", atMs };
  const hit = { operation: "hit", collection: "logins", key: "s", by: 2 };
  const missing = { ...deadline, key: "nobody" };
  expect((await peer.post("/v1/batch", { operations: [write, hit, missing] })).status).toBe(404);
  const limited = { operations: [write, { ...hit, limit: 9 }] };
  expect((await peer.post("/v1/batch", limited)).status).toBe(422);
  const { sessions, logins } = peer.replica.collections;
  expect([sessions.has("s"), logins.value("s")]).toEqual([false, 0]);
  expect((await peer.post("/v1/batch", { operations: [write, deadline, hit] })).json).toEqual({
    applied: 3,
  });
  expect([sessions.expiresAt("s"), logins.value("s")]).toEqual([atMs, 2]);
});

test("deadlines and hits need the rights of their key", async () => {
  const tokens = { reader: ["read:sessions/s:", "read:logins"], writer: ["write:logins/ip:"] };
  await using peer = await served({ tokens });
  await peer.put(at("sessions", "s:1", "/fields/f"), 1, { token: "full" });
  const expiry = at("sessions", "s:1", "/expiry");
  const put = { body: { atMs: null } };
  expect((await peer.get(expiry, { token: "reader" })).status).toBe(200);
  expect((await peer.get(expiry, { token: "writer" })).status).toBe(403);
  expect((await peer.ask("PUT", expiry, { ...put, token: "reader" })).status).toBe(403);
  expect((await peer.get(at("sessions", "x", "/expiry"), { token: "reader" })).status).toBe(403);
  const hit = (key: string, token: string): Promise<number> =>
    peer.post(at("logins", key, "/hit"), {}, { token }).then(({ status }) => status);
  expect(await hit("ip:1", "writer")).toBe(200);
  expect(await hit("other", "writer")).toBe(403);
  expect(await hit("ip:1", "reader")).toBe(403);
});
