/** Counts of what happened lately, in whole replicas. */
import { expect, test } from "vitest";
import {
  CounterRangeError,
  InvalidValueError,
  openReplica,
  rateWindow,
  UsageError,
} from "../../src/index.ts";
import { Village } from "../storage/village.ts";
import { boundMs, left, open, three } from "./scene.ts";

/** As in the scene's schema. */
const [windowMs, bucketMs] = [10_000, 1_000];
/** Long enough for everybody's turn. */
const restMs = 60_000;

test("hits of all replicas count for one window, and leave nothing", async () => {
  const village = new Village();
  const processes = await three(village);
  const [a, b, c] = processes;
  a.collections.hits.hit("k");
  a.collections.hits.hit("k", 2);
  b.collections.hits.at("k").hit(4);
  await village.pass(100);
  for (const { collections } of processes) {
    expect(collections.hits.value("k")).toBe(7);
    expect([collections.hits.keys(), collections.hits.size()]).toEqual([["k"], 1]);
  }
  await village.pass(windowMs - 200);
  c.collections.hits.hit("k", 8);
  await village.pass(50);
  expect(a.collections.hits.value("k")).toBe(15);
  await village.pass(bucketMs + 200);
  expect(processes.map(({ collections }) => collections.hits.value("k"))).toEqual([8, 8, 8]);
  await village.pass(windowMs + 3 * bucketMs);
  for (const { collections, replica } of processes) {
    expect([collections.hits.value("k"), collections.hits.has("k")]).toEqual([0, false]);
    expect(replica.status().keys["hits"]).toBe(0);
  }
  await village.pass(restMs);
  expect([left(a), left(b), left(c)]).toEqual([0, 0, 0]);
});

test("tryHit counts up to the limit, over replicas by no more than is on the way", async () => {
  const village = new Village();
  const [a, b] = await three(village);
  const [one, other] = [a.collections.hits.at("k"), b.collections.hits.at("k")];
  let taken = 0;
  for (let i = 0; i < 20; i++) {
    if (one.tryHit(10)) taken++;
    if (other.tryHit(10)) taken++;
    await village.pass(20);
  }
  expect(taken).toBeGreaterThanOrEqual(10);
  expect(taken).toBeLessThanOrEqual(11);
  expect([one.tryHit(10), one.value()]).toEqual([false, taken]);
  expect(one.tryHit(12, 5)).toBe(false);
  village.network.cut("a", "b");
  village.network.cut("c", "b");
  await village.pass(windowMs + 2 * bucketMs);
  const alone = [one, other].map((handle) => {
    let mine = 0;
    while (handle.tryHit(10)) mine++;
    return mine;
  });
  expect(alone).toEqual([10, 10]);
});

test("a clock that steps loses no hit within the window, and keeps none beyond it", async () => {
  for (const stepMs of [-3_600_000, -20_000, -3_000, 3_000, 20_000, 3_600_000]) {
    const village = new Village();
    const a = await open(village, "a", { isDurable: true });
    const { hits } = a.collections;
    hits.hit("k", 5);
    await village.pass(4_000);
    a.environment.skewMs += stepMs;
    expect(hits.value("k")).toBe(5);
    hits.hit("k", 7);
    expect(hits.value("k")).toBe(12);
    await village.pass(windowMs - 4_000 - 100);
    expect(hits.value("k")).toBe(12);
    await village.pass(windowMs + 2 * bucketMs);
    expect(hits.value("k")).toBe(0);
    await village.pass(3 * windowMs);
    expect([hits.has("k"), hits.size()]).toEqual([false, 0]);
    await village.pass(restMs);
    expect([left(a), a.keyspace.nodes.count]).toEqual([0, 0]);
  }
});

test("hits of a clock ahead by more than the bound do not count, and go in the end", async () => {
  const village = new Village();
  const a = await open(village, "a");
  a.environment.skewMs = 3_600_000;
  a.collections.hits.hit("k", 9);
  await village.pass(100);
  a.environment.skewMs = 0;
  const b = await open(village, "b", { peers: ["a"] });
  await village.pass(1_000);
  b.collections.hits.hit("k", 1);
  expect(b.collections.hits.value("k")).toBe(1);
  village.crash(a);
  await village.pass(3 * windowMs + boundMs + 10_000);
  expect(b.collections.hits.size()).toBe(0);
});

test("hits of a process that is gone count for the window, then anybody removes them", async () => {
  const village = new Village();
  const [a, b, c] = await three(village);
  a.collections.hits.hit("k", 3);
  await village.pass(1_000);
  village.crash(a);
  await village.pass(windowMs - 2_000);
  expect([b, c].map(({ collections }) => collections.hits.value("k"))).toEqual([3, 3]);
  await village.pass(2 * bucketMs + 1_000);
  expect([b, c].map(({ collections }) => collections.hits.value("k"))).toEqual([0, 0]);
  await village.pass(boundMs + 10_000);
  expect([b, c].map(({ collections }) => collections.hits.size())).toEqual([0, 0]);
});

test("a busy writer's hits are never taken for those of one that is gone", async () => {
  const village = new Village();
  const [a, b] = await three(village);
  for (let i = 0; i < 60; i++) {
    a.collections.hits.hit("k");
    await village.pass(1_000);
    expect(b.collections.hits.value("k")).toBe(Math.min(i + 1, 10));
  }
});

test("delete forgives what is seen; a transaction that is undone counts nothing", async () => {
  const village = new Village();
  const { collections, replica } = await open(village, "a");
  const { hits } = collections;
  hits.hit("k", 3);
  expect(() =>
    replica.transact(() => {
      hits.hit("k", 4);
      hits.hit("new", 4);
      expect(hits.value("k")).toBe(7);
      throw new Error("undone");
    }),
  ).toThrow("undone");
  expect([hits.value("k"), hits.value("new")]).toEqual([3, 0]);
  hits.at("k").delete();
  expect([hits.value("k"), hits.has("k")]).toEqual([0, false]);
  hits.hit("k");
  expect(hits.value("k")).toBe(1);
});

test("what cannot be is refused, and nothing changed", async () => {
  const village = new Village();
  const { collections } = await open(village, "a");
  const { hits } = collections;
  for (const by of [0, -1, 0.5, Number.NaN, 2 ** 53]) {
    expect(() => hits.hit("k", by)).toThrow(InvalidValueError);
    expect(() => hits.tryHit("k", 5, by)).toThrow(InvalidValueError);
  }
  for (const limit of [-1, 0.5, Number.NaN]) {
    expect(() => hits.tryHit("k", limit)).toThrow(InvalidValueError);
  }
  hits.hit("k", Number.MAX_SAFE_INTEGER - 1);
  expect(() => hits.hit("k", 2)).toThrow(CounterRangeError);
  expect(hits.tryHit("k", Number.MAX_SAFE_INTEGER, 2)).toBe(false);
  expect(hits.value("k")).toBe(Number.MAX_SAFE_INTEGER - 1);
  for (const wrong of [
    { windowMs: 0 },
    { windowMs: 1.5 },
    { windowMs: 2 ** 40 },
    { windowMs: 1_000, buckets: 0 },
    { windowMs: 1_000, buckets: 121 },
    { windowMs: 5, buckets: 6 },
  ]) {
    await expect(openReplica({ schema: { wrong: rateWindow(wrong) } })).rejects.toThrow(UsageError);
  }
});
