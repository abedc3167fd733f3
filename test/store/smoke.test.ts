import { expect, test } from "vitest";
import { counter, lwwMap, lwwRegister, mvRegister, flag, orMap, orSet } from "../../src/crdt/index.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { openCollections } from "../../src/store/collections/open.ts";
import { Exchange, Exchanges } from "../../src/store/exchange.ts";
import { Keyspace } from "../../src/store/keyspace.ts";
import { VersionVector } from "../../src/crdt/version-vector.ts";

const schema = {
  likes: counter(), tags: orSet(), profile: lwwRegister<{ a: number }>(), draft: mvRegister<string>(),
  prefs: lwwMap<boolean>(), live: flag(), cart: orMap({ qty: lwwRegister<number>(), notes: orSet() }),
};
function replica() {
  const keyspace = new Keyspace({ schema, environment: systemEnvironment });
  return { keyspace, exchanges: new Exchanges(keyspace), c: openCollections(keyspace, schema) };
}
type R = ReturnType<typeof replica>;
function link(a: R, b: R): [Exchange, Exchange] {
  const map = (from: R, to: R) => { const v = new VersionVector(); for (const [x, n] of from.keyspace.held.entries()) v.raise(to.keyspace.actors.intern(from.keyspace.actors.name(x)), n); return v; };
  a.keyspace.flush(); b.keyspace.flush();
  return [new Exchange(a.exchanges, { told: a.keyspace.held, known: map(b, a) }), new Exchange(b.exchanges, { told: b.keyspace.held, known: map(a, b) })];
}
function pump([x, y]: [Exchange, Exchange]): number {
  let bytes = 0;
  for (let moved = true; moved;) {
    moved = false;
    const f = x.next(); if (f) { y.receive(f); bytes += f.length; moved = true; }
    const g = y.next(); if (g) { x.receive(g); bytes += g.length; moved = true; }
  }
  return bytes;
}
test("two keyspaces converge", () => {
  const a = replica(), b = replica();
  const l = link(a, b);
  a.c.likes.increment("x", 5); b.c.likes.increment("x", 7); a.c.tags.add("p", "q"); b.c.tags.add("p", "r");
  a.c.profile.set("u", { a: 1 }); b.c.draft.set("d", "one"); a.c.draft.set("d", "two"); a.c.live.enable("z");
  b.c.cart.entry("u", "sku").qty.set(2); a.c.cart.entry("u", "sku").notes.add("n"); b.c.prefs.set("u", "dark", true);
  pump(l);
  for (const r of [a, b]) {
    expect(r.c.likes.value("x")).toBe(12);
    expect(r.c.tags.values("p").sort()).toEqual(["q", "r"]);
    expect(r.c.profile.get("u")).toEqual({ a: 1 });
    expect(r.c.draft.get("d").length).toBe(2);
    expect(r.c.cart.entries("u")).toEqual([["sku", { qty: 2, notes: ["n"] }]]);
    expect(r.c.live.isEnabled("z")).toBe(true);
    expect(r.c.prefs.get("u", "dark")).toBe(true);
  }
  expect(a.c.draft.get("d")).toEqual(b.c.draft.get("d"));
  b.c.tags.remove("p", "q"); a.c.cart.delete("u", "sku"); b.c.live.disable("z"); a.c.draft.set("d", "three");
  a.c.likes.increment("x");
  console.log("bytes", pump(l));
  for (const r of [a, b]) {
    expect(r.c.tags.values("p")).toEqual(["r"]);
    expect(r.c.cart.entries("u")).toEqual([]);
    expect(r.c.cart.size()).toBe(0);
    expect(r.c.live.isEnabled("z")).toBe(false);
    expect(r.c.draft.get("d")).toEqual(["three"]);
    expect(r.c.likes.value("x")).toBe(13);
  }
  // transactions
  expect(() => a.keyspace.transact(() => { a.c.likes.increment("x", 100); a.c.tags.add("p", "zz"); a.c.tags.remove("p", "r"); a.c.draft.set("d", "no"); throw new Error("undo"); })).toThrow("undo");
  expect(a.c.likes.value("x")).toBe(13); expect(a.c.tags.values("p")).toEqual(["r"]); expect(a.c.draft.get("d")).toEqual(["three"]);
  a.keyspace.transact(() => { a.c.likes.increment("x", 100); a.c.tags.add("p", "zz"); });
  pump(l);
  expect(b.c.likes.value("x")).toBe(113); expect(b.c.tags.values("p")).toEqual(["r", "zz"]);
  const fresh = replica(); const m = link(a, fresh); pump(m);
  expect(fresh.c.likes.value("x")).toBe(113);
  expect(fresh.c.tags.values("p").sort()).toEqual(["r", "zz"]);
  a.keyspace.forget([], 1000);
  expect(a.keyspace.retention.count).toBe(0);
  const late = replica(); pump(link(late, a)); expect(late.c.draft.get("d")).toEqual(["three"]);
});
