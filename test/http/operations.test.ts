/** What HTTP does is what the collections do, for every type, and nothing else is possible. */
import { expect, test } from "vitest";
import { at, served } from "./scene.ts";

test("a counter is read, incremented and decremented", async () => {
  await using peer = await served();
  expect((await peer.get(at("likes", "post:42"))).json).toEqual({ value: 0 });
  expect((await peer.post(at("likes", "post:42", "/increment"))).json).toEqual({ value: 1 });
  expect((await peer.post(at("likes", "post:42", "/increment"), { by: 5 })).json).toEqual({
    value: 6,
  });
  const down = await peer.post(at("likes", "post:42", "/decrement"), { by: 2 });
  expect(down.json).toEqual({ value: 4 });
  expect(peer.replica.collections.likes.value("post:42")).toBe(4);
  const version = down.headers.get("trellis-version") ?? "";
  await peer.replica.waitFor(version, { timeoutMs: 0 });
});

test("keys that are empty, dots, slashes or __proto__ are keys like others", async () => {
  await using peer = await served();
  const keys = ["", ".", "..", "a/b", "__proto__", "@", "%2F", "é\u0000?#", "constructor"];
  for (const [i, key] of keys.entries()) {
    const got = await peer.post(at("likes", key, "/increment"), { by: i + 1 });
    expect([key, got.json]).toEqual([key, { value: i + 1 }]);
  }
  expect(keys.map((key) => peer.replica.collections.likes.value(key))).toEqual(
    keys.map((_, i) => i + 1),
  );
  const listed = await peer.get("/v1/collections/likes");
  expect(listed.json).toEqual({ keys: keys.toSorted() });
  // By hand, as curl would.
  expect((await peer.get("/v1/collections/likes/@")).json).toEqual({ value: 1 });
  expect((await peer.get("/v1/collections/likes/@@")).json).toEqual({ value: 6 });
});

test("sets take elements of all sorts", async () => {
  await using peer = await served();
  for (const element of ["1", 1, true, null]) {
    expect((await peer.post(at("tags", "k", "/add"), { element })).status).toBe(200);
  }
  expect((await peer.get(at("tags", "k"))).json).toEqual({ value: ["1", 1, true, null], size: 4 });
  expect((await peer.get(at("tags", "k", "?limit=2"))).json).toEqual({
    ...{ value: ["1", 1], size: 4, isCut: true },
  });
  expect((await peer.post(at("tags", "k", "/remove"), { element: 1 })).json).toEqual({ size: 3 });
  expect((await peer.post(at("tags", "k", "/add"), { element: {} })).status).toBe(422);
  expect((await peer.post(at("tags", "k", "/clear"))).json).toEqual({ size: 0 });
  expect((await peer.get(at("tags", "k"))).json).toEqual({ value: [], size: 0 });
});

test("registers are set, read and deleted", async () => {
  await using peer = await served();
  expect((await peer.get(at("profile", "u"))).status).toBe(404);
  const value = JSON.parse('{"name":"Ada","__proto__":{"x":1},"n":[1,null]}') as unknown;
  expect((await peer.put(at("profile", "u"), value)).status).toBe(204);
  expect((await peer.get(at("profile", "u"))).text).toBe(
    '{"value":{"name":"Ada","__proto__":{"x":1},"n":[1,null]}}',
  );
  expect((await peer.ask("DELETE", at("profile", "u"))).status).toBe(204);
  expect((await peer.get(at("profile", "u"))).status).toBe(404);
  await peer.put(at("draft", "d"), "x");
  expect((await peer.get(at("draft", "d"))).json).toEqual({ value: ["x"], size: 1 });
});

test("maps have fields, and entries have fields of their own", async () => {
  await using peer = await served();
  await peer.put(at("prefs", "u", "/fields/dark"), true);
  await peer.put(at("prefs", "u", "/fields/__proto__"), 1);
  expect((await peer.get(at("prefs", "u", "/fields/dark"))).json).toEqual({ value: true });
  expect((await peer.get(at("prefs", "u"))).text).toBe(
    '{"value":{"dark":true,"__proto__":1},"size":2}',
  );
  await peer.ask("DELETE", at("prefs", "u", "/fields/dark"));
  expect((await peer.get(at("prefs", "u", "/fields/dark"))).status).toBe(404);

  const entry = "/entries/sku%3A9";
  await peer.put(at("cart", "u", `${entry}/qty`), 2);
  await peer.post(at("cart", "u", `${entry}/notes/add`), { element: "gift" });
  await peer.post(at("cart", "u", `${entry}/gift/enable`));
  await peer.put(at("cart", "u", `${entry}/more/fields/colour`), "red");
  expect((await peer.get(at("cart", "u", entry))).json).toEqual({
    value: { qty: 2, notes: ["gift"], gift: true, more: [["colour", "red"]] },
  });
  await peer.ask("DELETE", at("cart", "u", `${entry}/more/fields/colour`));
  await peer.post(at("cart", "u", `${entry}/notes/clear`));
  await peer.post(at("cart", "u", `${entry}/gift/disable`));
  await peer.ask("DELETE", at("cart", "u", `${entry}/qty`));
  expect((await peer.get(at("cart", "u", entry))).status).toBe(404);
  expect((await peer.put(at("cart", "u", `${entry}/nothing`), 1)).status).toBe(422);
  expect((await peer.put(at("cart", "u", `${entry}/gift`), 1)).status).toBe(400);
  expect((await peer.put(at("cart", "u", `${entry}/__proto__`), 1)).status).toBe(422);
  expect((await peer.get(at("cart", "u"))).json).toEqual({ value: {}, size: 0 });
});

test("flags are enabled and disabled", async () => {
  await using peer = await served();
  expect((await peer.post(at("live", "x", "/enable"))).json).toEqual({ value: true });
  expect((await peer.get(at("live", "x"))).json).toEqual({ value: true });
  expect((await peer.post(at("live", "x", "/disable"))).json).toEqual({ value: false });
});

test("a bounded counter is never taken below its bound", async () => {
  await using peer = await served();
  expect((await peer.post(at("stock", "sku", "/increment"), { by: 2 })).json).toEqual({ value: 2 });
  expect((await peer.post(at("stock", "sku", "/decrement"), { by: 2 })).json).toEqual({ value: 0 });
  const sold = await peer.post(at("stock", "sku", "/decrement"), { by: 1, waitMs: 500 });
  expect(sold.status).toBe(409);
  expect(sold.json).toMatchObject({ code: "TRELLIS_INSUFFICIENT", requested: 1, available: 0 });
  expect(sold.headers.get("content-type")).toBe("application/problem+json");
});

test("a fenced value is written by version, and read through its guard", async () => {
  await using peer = await served();
  const path = at("coupon", "SPRING");
  expect((await peer.put(path, { by: "ada" })).status).toBe(428);
  const made = await peer.put(path, { by: "ada" }, { headers: { "if-none-match": "*" } });
  expect([made.status, made.headers.get("etag")]).toEqual([204, '"1"']);
  expect((await peer.put(path, 1, { headers: { "if-none-match": "*" } })).status).toBe(412);
  const next = await peer.put(path, { by: "bob" }, { headers: { "if-match": '"1"' } });
  expect([next.status, next.headers.get("etag")]).toEqual([204, '"2"']);
  const late = await peer.put(path, { by: "eve" }, { headers: { "if-match": '"1"' } });
  expect(late.json).toMatchObject({ status: 412, code: "TRELLIS_PRECONDITION_FAILED" });
  const read = await peer.get(`${path}?consistency=linearizable`);
  expect([read.json, read.headers.get("etag")]).toEqual([{ value: { by: "bob" } }, '"2"']);
  expect((await peer.get(path, { headers: { "if-none-match": '"2"' } })).status).toBe(304);
  expect((await peer.get(path)).headers.get("etag")).toBe('"2"');
  expect((await peer.ask("DELETE", path)).status).toBe(428);
  const gone = await peer.ask("DELETE", path, { headers: { "if-match": "*" } });
  expect(gone.status).toBe(204);
  expect((await peer.get(path)).status).toBe(404);
  expect((await peer.put(path, 1, { headers: { "if-match": "*" } })).status).toBe(412);
  expect((await peer.put(path, 1, { headers: { "if-match": "W/x" } })).status).toBe(400);
});

test("a name is claimed once", async () => {
  await using peer = await served();
  expect((await peer.post(at("username", "ada", "/claim"), { owner: "u:7" })).status).toBe(200);
  expect((await peer.post(at("username", "ada", "/claim"), { owner: "u:7" })).status).toBe(200);
  const lost = await peer.post(at("username", "ada", "/claim"), { owner: "u:8" });
  expect(lost.json).toMatchObject({ code: "TRELLIS_ALREADY_CLAIMED", owner: "u:7", status: 409 });
  const path = at("username", "ada", "?consistency=linearizable");
  expect((await peer.get(path)).json).toEqual({ owner: "u:7" });
  expect((await peer.post(at("username", "ada", "/release"), { owner: "u:8" })).status).toBe(409);
  expect((await peer.post(at("username", "ada", "/release"), { owner: "u:7" })).status).toBe(200);
  expect((await peer.get(path)).json).toEqual({ owner: null });
});

test("a batch is all or nothing, and one version", async () => {
  await using peer = await served();
  const operations = [
    { operation: "increment", collection: "likes", key: "a", by: 2 },
    { operation: "add", collection: "tags", key: "a", element: "x" },
    { operation: "setField", collection: "prefs", key: "a", field: "f", value: [1] },
    {
      operation: "setEntryField",
      collection: "cart",
      key: "a",
      entry: "e",
      field: "qty",
      value: 1,
    },
  ];
  expect((await peer.post("/v1/batch", { operations })).json).toEqual({ applied: 4 });
  const { likes, tags, prefs, cart } = peer.replica.collections;
  expect([
    likes.value("a"),
    tags.values("a"),
    prefs.get("a", "f"),
    cart.entries("a").length,
  ]).toEqual([2, ["x"], [1], 1]);
  const before = peer.replica.version();
  for (const wrong of [
    { operation: "increment", collection: "likes", key: "a", by: Number.MAX_SAFE_INTEGER },
    { operation: "increment", collection: "tags", key: "a" },
    { operation: "decrement", collection: "stock", key: "a" },
    { operation: "increment", collection: "nothing", key: "a" },
    { operation: "fly", collection: "likes", key: "a" },
    { operation: "increment", collection: "likes", key: "\ud800" },
    { operation: "setField", collection: "prefs", key: "a", value: 1 },
    { operation: "increment", collection: "trellis/requests", key: "a" },
    null,
  ]) {
    const got = await peer.post("/v1/batch", { operations: [...operations, wrong] });
    expect([404, 405, 422]).toContain(got.status);
  }
  const tooMany = Array.from({ length: 1_001 }, () => operations[0]);
  expect((await peer.post("/v1/batch", { operations: tooMany })).status).toBe(422);
  expect(peer.replica.version()).toBe(before);
});

test("what a type lacks is 405, what is not there 404, and the service's own is hidden", async () => {
  await using peer = await served();
  const wrong = await peer.post(at("tags", "k", "/increment"));
  expect(wrong.json).toMatchObject({ status: 405, code: "TRELLIS_METHOD_NOT_ALLOWED" });
  expect((await peer.put(at("likes", "k"), 1)).headers.get("allow")).toBe("GET, HEAD");
  expect((await peer.ask("PATCH", at("likes", "k"))).headers.get("allow")).toBe(
    "OPTIONS, GET, PUT, DELETE, HEAD",
  );
  expect((await peer.get(at("nothing", "k"))).status).toBe(404);
  await peer.post(at("likes", "k", "/increment"), {}, { headers: { "idempotency-key": "1" } });
  expect((await peer.get("/v1/collections/trellis%2Frequests")).status).toBe(404);
  expect((await peer.get("/v1/watch?collection=trellis%2Frequests")).status).toBe(404);
  const { json } = await peer.get("/v1/collections");
  expect(JSON.stringify(json)).not.toContain("trellis/");
  expect(JSON.stringify(json)).toContain('{"name":"likes","type":"counter"}');
});

test("keys are listed page by page", async () => {
  await using peer = await served();
  for (let i = 0; i < 25; i++)
    peer.replica.collections.likes.increment(`k${String(i).padStart(2, "0")}`);
  const keys: string[] = [];
  let after = "";
  for (;;) {
    const { json } = await peer.get(`/v1/collections/likes?prefix=k&limit=10${after}`);
    const page = json as { readonly keys: string[]; readonly next?: string };
    keys.push(...page.keys);
    if (page.next === undefined) break;
    after = `&after=${page.next}`;
  }
  expect(keys).toEqual(peer.replica.collections.likes.keys());
  expect((await peer.get("/v1/collections/likes?limit=0")).status).toBe(422);
  expect((await peer.get("/v1/collections/likes?limit=10001")).status).toBe(422);
});

test("a document is read whole as JSON, and removed", async () => {
  await using peer = await served();
  const { notes } = peer.replica.collections;
  expect((await peer.get(at("notes", "n"))).status).toBe(404);
  notes.change("n", (doc) => {
    doc.getText("title").insert(0, "a title");
    doc.getMap("more").set("done", false);
    doc.getArray("list").push([1, "two"]);
  });
  expect((await peer.get(at("notes", "n"))).json).toEqual({
    value: { title: "a title", more: { done: false }, list: [1, "two"] },
  });
  expect((await peer.get("/v1/collections/notes")).json).toEqual({ keys: ["n"] });
  expect((await peer.get("/v1/collections")).text).toContain('{"name":"notes","type":"document"}');
  expect((await peer.post(at("notes", "n", "/increment"))).status).toBe(405);
  expect((await peer.ask("DELETE", at("notes", "n"))).status).toBe(204);
  expect(notes.has("n")).toBe(false);
});
