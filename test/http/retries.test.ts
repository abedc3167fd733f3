/** A request that is sent again takes effect once. */
import { expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { embeddedLocks } from "../../src/escalate/locks/embedded.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { foreignMs, hashOf, requestsCollection } from "../../src/http/request-memory.ts";
import { lwwRegister, openReplica } from "../../src/index.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { RawConnection } from "./raw.ts";
import { type Asking, at, type Got, type Served, served } from "./scene.ts";

const path = at("likes", "k", "/increment");
const keyed = (key: string): Asking => ({ headers: { "idempotency-key": key } });
const isReplayed = ({ headers }: Got): boolean => headers.get("idempotency-replayed") === "true";

/** A replica of a test, as one that knows its memory of requests. */
const recordsOf = ({ replica }: Served): number => {
  const opened = replica.collection(requestsCollection);
  return opened?.kind === "lww-register" ? opened.collection.size() : 0;
};

test("a repetition gets the first answer, and says that it is one", async () => {
  await using peer = await served();
  const first = await peer.post(path, { by: 5 }, keyed("a"));
  peer.replica.collections.likes.increment("k", 100);
  const again = await peer.post(path, { by: 5 }, keyed("a"));
  expect([first.json, isReplayed(first)]).toEqual([{ value: 5 }, false]);
  expect([again.json, isReplayed(again)]).toEqual([{ value: 5 }, true]);
  expect(peer.replica.collections.likes.value("k")).toBe(105);
  const set = await peer.put(at("profile", "p"), 1, keyed("b"));
  const setAgain = await peer.put(at("profile", "p"), 1, keyed("b"));
  expect([set.status, setAgain.status, isReplayed(setAgain), setAgain.text]).toEqual([
    ...[204, 204, true, ""],
  ]);
});

test("every free write takes a key", async () => {
  await using peer = await served();
  const entry = "/entries/e";
  const writes: readonly (readonly [string, string, unknown?])[] = [
    ["POST", at("likes", "k", "/decrement")],
    ["POST", at("tags", "k", "/add"), { element: 1 }],
    ["POST", at("tags", "k", "/remove"), { element: 1 }],
    ["POST", at("tags", "k", "/clear")],
    ["PUT", at("draft", "k"), { value: 1 }],
    ["DELETE", at("draft", "k")],
    ["PUT", at("prefs", "k", "/fields/f"), { value: 1 }],
    ["DELETE", at("prefs", "k", "/fields/f")],
    ["PUT", at("cart", "k", `${entry}/qty`), { value: 1 }],
    ["POST", at("cart", "k", `${entry}/notes/add`), { element: "x" }],
    ["DELETE", at("cart", "k", entry)],
    ["POST", at("live", "k", "/enable")],
    ["POST", at("live", "k", "/disable")],
    [
      "POST",
      "/v1/batch",
      { operations: [{ operation: "increment", collection: "likes", key: "k" }] },
    ],
  ];
  for (const [i, [method, target, body]] of writes.entries()) {
    const asking = { ...keyed(`w${i}`), body };
    const first = await peer.ask(method, target, asking);
    const version = peer.replica.version();
    const again = await peer.ask(method, target, asking);
    expect([target, again.status, isReplayed(again)]).toEqual([target, first.status, true]);
    expect(first.status).toBeLessThan(300);
    expect(peer.replica.version()).toBe(version);
  }
});

test("a key is for one request, and of one subject", async () => {
  await using peer = await served({ tokens: { one: ["write:*"], two: ["write:*"] } });
  const as = (token: string): Asking => ({ ...keyed("same"), token });
  expect((await peer.post(path, { by: 1 }, as("one"))).status).toBe(200);
  const other = await peer.post(path, { by: 2 }, as("one"));
  expect(other.json).toMatchObject({ status: 422, code: "TRELLIS_KEY_REUSED" });
  const elsewhere = await peer.post(at("likes", "x", "/increment"), { by: 1 }, as("one"));
  expect(elsewhere.status).toBe(422);
  const theirs = await peer.post(path, { by: 1 }, as("two"));
  expect([theirs.json, isReplayed(theirs)]).toEqual([{ value: 2 }, false]);
  for (const wrong of ["", "a b", "x".repeat(256), "\u00e9"]) {
    expect((await peer.post(path, {}, { ...keyed(wrong), token: "one" })).status).toBe(400);
  }
  expect(peer.replica.collections.likes.value("k")).toBe(2);
});

test("what was refused is not remembered", async () => {
  await using peer = await served();
  const by = Number.MAX_SAFE_INTEGER;
  peer.replica.collections.likes.increment("k");
  expect((await peer.post(path, { by }, keyed("a"))).status).toBe(422);
  expect(recordsOf(peer)).toBe(0);
  peer.replica.collections.likes.decrement("k");
  expect((await peer.post(path, { by }, keyed("a"))).json).toEqual({ value: by });
});

test("a reply that is lost is asked for again", async () => {
  await using peer = await served({ replica: { storage: memoryStorage() } });
  for (let i = 0; i < 50; i++) {
    {
      using raw = new RawConnection(peer.url);
      raw.send(`POST ${path} HTTP/1.1`, "Host: 127.0.0.1", `Idempotency-Key: lost-${i}`, "", "");
      // Some are cut off before it arrives, some before it is answered, some after.
      await new Promise((resolve) => raw.socket.once("connect", resolve));
      if (i % 3 > 0) await until("it is there", 5_000, () => recordsOf(peer) > 0);
      if (i % 3 > 1) await until("it is answered", 5_000, () => raw.statuses.length > 0);
    }
    expect((await peer.post(path, undefined, keyed(`lost-${i}`))).status).toBe(200);
  }
  expect(peer.replica.collections.likes.value("k")).toBe(50);
});

test("the same key at the same time counts once", async () => {
  await using peer = await served({ replica: { storage: memoryStorage() } });
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, i) => peer.post(path, {}, keyed(`k${i % 4}`))),
  );
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  expect(answers.filter(isReplayed)).toHaveLength(36);
  expect(peer.replica.collections.likes.value("k")).toBe(4);
});

test("a peer that has seen the effect knows its key", async () => {
  await using first = await served();
  const replica = { peers: [first.url.replace("http", "ws")] };
  await using second = await served({ replica });
  await second.replica.synced();
  const done = await first.post(path, {}, keyed("a"));
  await second.replica.waitFor(done.headers.get("trellis-version") ?? "");
  const again = await second.post(path, {}, keyed("a"));
  expect([again.json, isReplayed(again)]).toEqual([{ value: 1 }, true]);
  expect(second.replica.collections.likes.value("k")).toBe(1);
});

test("a replica in memory asks its peers first what it did in its former life", async () => {
  await using hub = await served();
  const replica = { peers: [hub.url.replace("http", "ws")] };
  for (let i = 0; i < 5; i++) {
    await using peer = await served({ replica });
    let got = await peer.post(path, {}, keyed("once"));
    while (got.status === 503) got = await peer.post(path, {}, keyed("once"));
    expect([got.json, isReplayed(got)]).toEqual([{ value: 1 }, i > 0]);
    await hub.replica.waitFor(peer.replica.version());
  }
});

test("keys are known after a restart", async () => {
  const storage = memoryStorage();
  {
    await using peer = await served({ replica: { storage, locks: embeddedLocks() } });
    await peer.post(path, {}, keyed("a"));
  }
  await using peer = await served({ replica: { storage, locks: embeddedLocks() } });
  const again = await peer.post(path, {}, keyed("a"));
  expect([again.json, isReplayed(again)]).toEqual([{ value: 1 }, true]);
});

test("a full memory refuses new keys and keeps the old ones", async () => {
  await using peer = await served({ idempotencyKeysMax: 3 });
  for (const key of ["a", "b", "c"]) await peer.post(path, {}, keyed(key));
  const more = await peer.post(path, {}, keyed("d"));
  expect([more.status, more.headers.has("retry-after")]).toEqual([429, true]);
  expect(isReplayed(await peer.post(path, {}, keyed("a")))).toBe(true);
  expect((await peer.post(path, {})).json).toEqual({ value: 4 });
});

test("past its window a key is new, and its record is deleted by who wrote it", async () => {
  let aheadMs = 0;
  const environment = { ...systemEnvironment, now: () => Date.now() + aheadMs };
  const windowMs = 200;
  const bounds = { idempotencyWindowMs: windowMs, environment, idempotencyKeysMax: 2_000 };
  await using peer = await served(bounds);
  await peer.post(path, {}, keyed("a"));
  aheadMs += windowMs + 1;
  const anew = await peer.post(path, {}, keyed("a"));
  expect([anew.json, isReplayed(anew)]).toEqual([{ value: 2 }, false]);
  // More than one slice.
  for (let i = 0; i < 60; i++) {
    await Promise.all(
      Array.from({ length: 20 }, (_, j) => peer.post(path, {}, keyed(`${i}-${j}`))),
    );
  }
  aheadMs += windowMs + 1;
  await until("all are deleted", 10_000, () => recordsOf(peer) === 0);
}, 30_000);

test("what another replica wrote is deleted an hour later", async () => {
  let aheadMs = 0;
  const environment = { ...systemEnvironment, now: () => Date.now() + aheadMs };
  const windowMs = 1_000;
  await using peer = await served({ idempotencyWindowMs: windowMs, environment });
  await using gone = await openReplica({ schema: {}, peers: [peer.url.replace("http", "ws")] });
  const records = gone.collection(requestsCollection, lwwRegister());
  if (records?.kind !== "lww-register") throw new Error("no records");
  const kept = { fingerprint: "f", status: 204, body: "" };
  records.collection.set("old", { ...kept, atMs: Date.now() - windowMs - foreignMs - 60_000 });
  records.collection.set("young", { ...kept, atMs: Date.now() - windowMs - 60_000 });
  records.collection.set("wrong", "no record");
  await peer.replica.waitFor(gone.version());
  const opened = peer.replica.collection(requestsCollection);
  if (opened?.kind !== "lww-register") throw new Error("no records");
  await until("the old one is deleted", 5_000, () => !opened.collection.has("old"));
  expect([...opened.collection.keys()]).toEqual(["young"]);
  aheadMs = 0;
}, 20_000);

test("whatever stands in the record of a key, it is not believed", async () => {
  await using peer = await served();
  const records = peer.replica.collection(requestsCollection, lwwRegister());
  if (records?.kind !== "lww-register") throw new Error("no records");
  records.collection.set(hashOf({ subject: "anybody", key: "a" }), { status: "200" });
  const got = await peer.post(path, {}, keyed("a"));
  expect([got.json, isReplayed(got)]).toEqual([{ value: 1 }, false]);
});

test("the guard remembers escalated writes, through any peer", async () => {
  await using host = await served();
  const replica = { peers: [host.url.replace("http", "ws")] };
  await using other = await served({ replica });
  await other.replica.synced();
  await host.post(at("stock", "s", "/increment"), { by: 10 });
  const take = (peer: Served): Promise<Got> =>
    peer.post(at("stock", "s", "/decrement"), { by: 3 }, keyed("take"));
  const taken = await Promise.all([take(host), take(other), take(host), take(other)]);
  expect(taken.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  await until("it counted once", 5_000, () => host.replica.collections.stock.value("s") === 7);

  const absent = { "if-none-match": "*", "idempotency-key": "make" };
  const make = (peer: Served, value: unknown): Promise<Got> =>
    peer.put(at("coupon", "c"), value, { headers: absent });
  expect((await make(host, { by: "ada" })).status).toBe(204);
  expect((await make(other, { by: "ada" })).status).toBe(204);
  expect((await make(other, { by: "eve" })).json).toMatchObject({ code: "TRELLIS_KEY_REUSED" });
  const read = await other.get(at("coupon", "c", "?consistency=linearizable"));
  expect([read.json, read.headers.get("etag")]).toEqual([{ value: { by: "ada" } }, '"1"']);
});

test("an increment of a bounded counter counts once, through any peer, apart from a decrement", async () => {
  await using host = await served();
  const replica = { peers: [host.url.replace("http", "ws")] };
  await using other = await served({ replica });
  await other.replica.synced();
  const ask = (peer: Served, what: string): Promise<Got> =>
    peer.post(at("stock", "s", what), { by: 5 }, keyed("a"));
  const peers = [host, other, host, other];
  const added = await Promise.all(peers.map((peer) => ask(peer, "/increment")));
  expect(added.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  const { stock } = other.replica.collections;
  await until("it counted once", 5_000, () => stock.value("s") === 5);
  expect((await ask(other, "/increment")).json).toEqual({ value: 5 });
  expect((await ask(host, "/decrement")).status).toBe(200);
  expect((await ask(other, "/increment")).status).toBe(200);
  await until("it was taken away", 5_000, () => stock.value("s") === 0);
});
