/** What was removed leaves nothing behind: cells, names, places in logs. */
import { expect, test } from "vitest";
import { VersionVector } from "../../src/crdt/version-vector.ts";
import { World } from "../simulation/virtual-environment.ts";
import { Cluster } from "./cluster.ts";
import { assertWhole, dump } from "./dump.ts";
import { Replica } from "./replica.ts";

const replica = (): Replica => new Replica("it", new World(1).environment());

function forgetAll({ keyspace }: Replica): void {
  while (keyspace.forgetting.step([], 1_000));
}

test("removals are kept until every peer has passed them, then cells and names are gone", () => {
  const { keyspace, collections } = replica();
  for (let i = 0; i < 100; i++) collections.sets.add("k", i);
  keyspace.flush();
  collections.sets.clear("k");
  keyspace.flush();
  const passed = new VersionVector();
  passed.raise(keyspace.me, 1);
  keyspace.forgetting.step([passed], 1_000);
  expect(keyspace.retention.count).toBe(100);
  passed.raise(keyspace.me, 2);
  while (keyspace.forgetting.step([passed, passed.clone()], 30));
  expect([keyspace.retention.count, keyspace.cells.count, keyspace.nodes.count]).toEqual([0, 0, 0]);
  expect(keyspace.retention.floor.at(keyspace.me)).toBe(2);
});

test.each([1, 2_049, 2_051, 5_000])(
  "one element added and removed %d times leaves nothing",
  (rounds) => {
    const it = replica();
    for (let i = 0; i < rounds; i++) {
      it.collections.sets.add("k", "e");
      it.keyspace.flush();
      it.collections.sets.remove("k", "e");
      it.keyspace.flush();
    }
    expect(it.keyspace.retention.count).toBe(1);
    forgetAll(it);
    expect([it.keyspace.retention.count, it.keyspace.nodes.count]).toEqual([0, 0]);
  },
);

test("the same 10,000 elements added and removed 100 times leave memory where one round does", () => {
  const it = replica();
  const { cells, nodes } = it.keyspace;
  const round = (): void => {
    for (let i = 0; i < 10_000; i++) it.collections.sets.add("k", i);
    it.keyspace.flush();
    for (let i = 0; i < 10_000; i++) it.collections.sets.remove("k", i);
    it.keyspace.flush();
  };
  round();
  const [bytes, nodeBytes] = [cells.bytes, nodes.bytes];
  for (let i = 1; i < 100; i++) round();
  expect(cells.bytes).toBeLessThanOrEqual(bytes * 2);
  expect(nodes.bytes).toBe(nodeBytes);
  expect(cells.count).toBe(10_000);
  forgetAll(it);
  expect([cells.count, nodes.count]).toEqual([0, 0]);
});

test("new names in each round leave no more than one round's, over a link that stays up", () => {
  const cluster = new Cluster({ seed: 1, replicas: 2, isChecked: false });
  const [one, other] = cluster.replicas as [Replica, Replica];
  one.collections.flags.enable("first");
  other.collections.flags.enable("second");
  cluster.connect(one, other);
  let most = 0;
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 2_000; i++) one.collections.sets.add("k", `${round}/${i}`);
    cluster.settle();
    one.collections.sets.clear("k");
    cluster.settle();
    cluster.assertForgotten();
    for (const it of [one, other]) {
      forgetAll(it);
      most = Math.max(most, it.keyspace.nodes.count);
    }
  }
  expect(cluster.happened.renumbered).toBeGreaterThan(1);
  expect(most).toBeLessThan(5 * 2_000);
  for (const link of cluster.links.slice()) cluster.cut(link);
  for (const it of [one, other]) {
    forgetAll(it);
    assertWhole(it.keyspace);
    expect(it.keyspace.nodes.count).toBe(2);
  }
});

test("one register that is set a million times is one cell, and its log one entry or few", () => {
  const it = replica();
  for (let i = 0; i < 1_000_000; i++) {
    it.collections.registers.set("k", i);
    if (i % 4 === 0) it.keyspace.flush();
  }
  it.keyspace.flush();
  expect(it.keyspace.cells.count).toBe(1);
  expect(it.keyspace.cells.log(it.keyspace.me).count).toBeLessThan(4_096);
});

test("more removals than the bound are forgotten though a peer has not passed them, and it is repaired", () => {
  const cluster = new Cluster({ seed: 1, replicas: 2, isChecked: false });
  const [awake, asleep] = cluster.replicas as [Replica, Replica];
  for (let i = 0; i < 100; i++) awake.collections.sets.add("k", i);
  cluster.connect(awake, asleep);
  cluster.settle();
  for (const link of cluster.links.slice()) cluster.cut(link);
  asleep.collections.sets.add("k", "written asleep");
  asleep.keyspace.flush();
  for (let i = 0; i < 50; i++) awake.collections.sets.remove("k", i);
  awake.keyspace.flush();
  forgetAll(awake);
  cluster.heal();
  expect(asleep.collections.sets.size("k")).toBe(51);
  expect(dump(asleep.keyspace)).toEqual(dump(awake.keyspace));
});

test("handles stay valid when their names were forgotten and their numbers mean others", () => {
  const it = replica();
  const { counters, sets, registers, maps, flags, entries } = it.collections;
  const counter = counters.at("c");
  const set = sets.at("s");
  const register = registers.at("r");
  const entry = entries.entry("e", "x");
  const map = maps.at("m");
  const flag = flags.at("f");
  for (let round = 0; round < 3; round++) {
    set.add(round);
    register.set(round);
    entry.quantity.set(round);
    entry.notes.add(round);
    map.set("x", round);
    flag.enable();
    expect([set.values(), register.get(), entry.quantity.get()]).toEqual([[round], round, round]);
    expect([entry.notes.values(), map.get("x"), flag.isEnabled()]).toEqual([[round], round, true]);
    set.clear();
    register.delete();
    entries.delete("e");
    map.delete();
    flag.disable();
    it.keyspace.flush();
    forgetAll(it);
    expect(it.keyspace.nodes.count).toBe(round === 0 ? 0 : round * 20 + 1);
    expect([set.size(), register.get(), entry.quantity.get()]).toEqual([0, undefined, undefined]);
    for (let i = 0; i < 20; i++) counters.increment(`other ${round} ${i}`);
    counter.increment();
    expect(counter.value()).toBe(round + 1);
    assertWhole(it.keyspace);
  }
  expect(counters.value("c")).toBe(3);
});

test("keys lists what is there, in the order of code units, by prefix, limit and after", () => {
  const { collections, keyspace } = replica();
  for (const key of ["b", "a", "ab", "", "é", "__proto__", "gone", "😀"]) {
    collections.flags.enable(key);
  }
  collections.flags.disable("gone");
  collections.flags.disable("never");
  keyspace.flush();
  const { flags } = collections;
  expect(flags.keys()).toEqual(["", "__proto__", "a", "ab", "b", "é", "😀"]);
  expect(flags.keys({ prefix: "a" })).toEqual(["a", "ab"]);
  expect(flags.keys({ limit: 2 })).toEqual(["", "__proto__"]);
  expect(flags.keys({ limit: 0 })).toEqual([]);
  expect(flags.keys({ after: "a" })).toEqual(["ab", "b", "é", "😀"]);
  expect(flags.keys({ after: "a", prefix: "a", limit: 1 })).toEqual(["ab"]);
  expect(flags.keys({ after: "aa" })).toEqual(["ab", "b", "é", "😀"]);
  expect(flags.size()).toBe(7);
  expect([flags.has(""), flags.has("gone"), flags.has("never")]).toEqual([true, false, false]);
  expect(() => flags.keys({ limit: -1 })).toThrow(/limit/);
});

test("a flush of many increments of one key is one entry, one cell and a frame below 100 bytes", () => {
  const cluster = new Cluster({ seed: 1, replicas: 2, isChecked: false });
  const [one, other] = cluster.replicas as [Replica, Replica];
  other.collections.flags.enable("f");
  one.collections.flags.enable("f");
  const link = cluster.connect(one, other);
  cluster.settle();
  for (let i = 0; i < 100_000; i++) one.collections.counters.increment("k");
  expect([...(one.keyspace.nodes.roots[0]?.keys.keys() ?? [])]).toEqual(["k"]);
  const [end] = link.ends;
  expect(end.exchange?.next()?.length).toBeLessThan(100);
});
