/** A peer without a schema serves what its cluster has, by the types that the tags tell. */
import { expect, test } from "vitest";
import { typeOf } from "../../src/crdt/type-of.ts";
import { boundedCounter, flag, openReplica, orMap, orSet, type Schema } from "../../src/index.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { serveHttp } from "../../src/http.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { at, schema, type Served, served } from "./scene.ts";

/** A peer without a schema that dials `shop`, and how to ask it. */
async function schemaless(shop: Served): Promise<Served & AsyncDisposable> {
  const peers = [shop.url.replace("http", "ws")];
  const replica = await openReplica<Schema>({ schema: {}, listen: { port: 0 }, peers });
  const service = serveHttp(replica, { lagMsMax: 60_000 });
  const url = `http://127.0.0.1:${replica.address?.port ?? 0}`;
  const close = async (): Promise<void> => {
    await service.close();
    await replica.close();
  };
  const shape = { replica, service, url, [Symbol.asyncDispose]: close };
  await replica.synced();
  return Object.assign(Object.create(Object.getPrototypeOf(shop) as object) as Served, shape);
}

test("the type behind a tag is the one that made it", () => {
  const bounded = boundedCounter({ min: -3, max: 9, initial: 2 });
  const items = orMap({ a: orSet(), b: flag() }, { expireAfterMs: 1 });
  // What makes a document one is no part of its tag.
  const { notes, ...plain } = schema;
  expect(typeOf(notes.tag)).toBeUndefined();
  for (const type of [...Object.values(plain), bounded, items, orSet({ expireAfterMs: 5 })]) {
    expect(typeOf(type.tag)).toMatchObject({ kind: type.kind, tag: type.tag, shape: type.shape });
  }
  for (const tag of [
    ...[
      "",
      "counter/2",
      "counter/1 ",
      "yjs/1",
      "or-map/1",
      "or-map/1[",
      "or-map/1{}",
      "or-map/1[1]",
    ],
    ...[
      'or-map/1[["b","flag/1"],["a","flag/1"]]',
      'or-map/1[["a","counter/1"]]',
      "bounded-counter/1",
    ],
    ...["bounded-counter/1[0,null]", "bounded-counter/1[5,3,4]", 'bounded-counter/1["0",null,0]'],
    ...[
      "rate-window/1",
      "rate-window/1[]",
      "rate-window/1[1000]",
      "rate-window/1[1000,10,1]",
      "rate-window/1[0,1]",
      "rate-window/1[1000,0]",
      "rate-window/1[1000,121]",
      "rate-window/1[5,6]",
      "rate-window/1[2678400001,10]",
      "rate-window/1[1000.5,10]",
      "rate-window/1[1e3,10]",
      'rate-window/1["1000",10]',
    ],
    ...[
      "expiring/1",
      "expiring/1[]",
      "expiring/1[1]",
      'expiring/1["counter/1"]',
      'expiring/1["fenced-register/1"]',
      'expiring/1["rate-window/1[1000,10]"]',
      'expiring/1["bounded-counter/1[0,null,0]"]',
      'expiring/1["flag/1","flag/1"]',
      'expiring/1[ "flag/1"]',
      'expiring/1["expiring/1[\\"flag/1\\"]"]',
      'expiring/1["or-map/1[[\\"a\\",\\"counter/1\\"]]"]',
      `expiring/1[${"[".repeat(60_000)}`,
      `expiring/1["${"x".repeat(70_000)}"]`,
    ],
    ...[
      "bounded-counter/1[0, null, 0]",
      'or-map/1[["a","or-map/1[]"]]',
      "bounded-counter/1[0,9,10]",
    ],
  ]) {
    expect([tag, typeOf(tag)]).toEqual([tag, undefined]);
  }
});

test("a peer without a schema serves all collections of its cluster", async () => {
  const replica = { storage: memoryStorage(), locks: embeddedLocks({ host: true }) };
  await using shop = await served({ replica });
  // A collection travels with the first that is written in it.
  const { likes, profile, tags, cart, stock } = shop.replica.collections;
  likes.increment("k");
  profile.set("k", 1);
  tags.add("k", 1);
  cart.entry("k", "e").qty.set(1);
  stock.increment("k", 5);
  await shop.replica.collections.coupon.update("k", () => 1);
  await shop.replica.collections.username.claim("k", "ada");
  const { sessions, logins } = shop.replica.collections;
  sessions.set("k", "f", 1);
  logins.hit("k", 3);
  // Who has not its library cannot serve a document.
  shop.replica.collections.notes.change("k", (doc) => doc.getText("t").insert(0, "x"));
  await using peer = await schemaless(shop);

  const { json } = await peer.get("/v1/collections");
  expect((json as { readonly collections: unknown[] }).collections).toHaveLength(9);
  const done = await peer.post(at("likes", "k", "/increment"));
  expect(done.json).toEqual({ value: 2 });
  expect((await peer.post(at("tags", "k", "/add"), { element: "x" })).json).toEqual({ size: 2 });
  expect((await peer.put(at("cart", "k", "/entries/e/qty"), 3)).status).toBe(204);
  expect((await peer.post(at("tags", "k", "/increment"))).status).toBe(405);
  expect((await peer.post(at("stock", "k", "/decrement"), { by: 2 })).status).toBe(200);
  expect((await peer.put(at("coupon", "k"), 2, { headers: { "if-match": '"1"' } })).status).toBe(
    204,
  );
  expect((await peer.post(at("username", "k", "/claim"), { owner: "bob" })).status).toBe(409);
  const before = sessions.expiresAt("k");
  expect((await peer.get(at("sessions", "k", "/expiry"))).json).toEqual({ atMs: before });
  // It does not know the lifetime, so its writes leave the deadline as it is.
  expect((await peer.put(at("sessions", "k", "/fields/g"), 2)).status).toBe(204);
  expect((await peer.get(at("sessions", "k", "/expiry"))).json).toEqual({ atMs: before });
  expect((await peer.post(at("logins", "k", "/hit"), { limit: 3 })).json).toEqual({
    ...{ accepted: false, value: 3 },
  });
  await shop.replica.waitFor(done.headers.get("trellis-version") ?? "");
  expect(likes.value("k")).toBe(2);
  const watch = await fetch(`${peer.url}/v1/watch?collection=likes`);
  expect(watch.status).toBe(200);
  await watch.body?.cancel();
});

test("rules that must hold are not served over guards that may be forgotten", async () => {
  // Its authority is in memory; the schema accepted that, which no tag tells.
  await using shop = await served();
  await shop.replica.collections.coupon.update("k", () => 1);
  await using peer = await schemaless(shop);
  expect((await peer.get(at("coupon", "k"))).json).toEqual({ value: 1 });
  const write = await peer.put(at("coupon", "k"), 2, { headers: { "if-match": '"1"' } });
  expect(write.json).toMatchObject({ status: 503, code: "TRELLIS_LOCK_UNAVAILABLE" });
});
