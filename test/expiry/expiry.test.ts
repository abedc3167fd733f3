/** Keys that expire, in whole replicas. */
import { expect, test } from "vitest";
import {
  counter,
  flag,
  InvalidValueError,
  openReplica,
  orSet,
  UsageError,
} from "../../src/index.ts";
import { expireAheadMsMax, expiring } from "../../src/crdt/expiring.ts";
import { Village } from "../storage/village.ts";
import { boundMs, left, lifetimeMs, open, type Process, three } from "./scene.ts";

/** Long enough for everybody's turn, and for what is left to go. */
const restMs = 60_000;

const fill = ({ collections }: Process): void => {
  collections.sessions.add("k", "x");
  collections.notes.set("k", "n");
  collections.drafts.set("k", "d");
  collections.prefs.set("k", "f", 1);
  collections.carts.entry("k", "sku").amount.set(2);
  collections.carts.entry("k", "sku").tags.add("t");
  collections.online.enable("k");
};

const shown = ({ collections }: Process): unknown[] => [
  collections.sessions.values("k"),
  collections.notes.get("k"),
  collections.drafts.get("k"),
  collections.prefs.entries("k"),
  collections.carts.entries("k"),
  collections.online.isEnabled("k"),
];
const full = [["x"], "n", ["d"], [["f", 1]], [["sku", { amount: 2, tags: ["t"] }]], true];
const empty = [[], undefined, [], [], [], false];

test("every type shows its keys until their deadline, on each replica, and leaves nothing", async () => {
  const village = new Village();
  const processes = await three(village);
  const [a, b, c] = processes;
  fill(a);
  await village.pass(lifetimeMs - 200);
  for (const one of processes) {
    expect(shown(one)).toEqual(full);
    expect(one.collections.carts.keys()).toEqual(["k"]);
    expect(one.replica.status().keys).toMatchObject({ sessions: 1, carts: 1, online: 1, plain: 0 });
  }
  expect(b.collections.sessions.expiresAt("k")).toBe(a.collections.sessions.expiresAt("k"));
  await village.pass(300);
  for (const one of processes) {
    expect(shown(one)).toEqual(empty);
    const { sessions, carts } = one.collections;
    expect([sessions.has("k"), sessions.size(), sessions.keys(), carts.size()]).toEqual([
      false,
      0,
      [],
      0,
    ]);
    expect(one.replica.status().keys).toMatchObject({ sessions: 0, carts: 0, online: 0 });
    expect(sessions.expiresAt("k")).toBeUndefined();
  }
  await village.pass(restMs);
  expect([left(a), left(b), left(c)]).toEqual([0, 0, 0]);
});

test("each write renews the deadline", async () => {
  const village = new Village();
  const a = await open(village, "a");
  const { sessions, prefs } = a.collections;
  for (let i = 0; i < 5; i++) {
    sessions.add("k", `${i}`);
    prefs.at("k").set("f", i);
    await village.pass(lifetimeMs - 1_000);
  }
  expect(sessions.size("k")).toBe(5);
  await village.pass(2_000);
  expect([sessions.has("k"), prefs.has("k")]).toEqual([false, false]);
});

test("a later deadline, written while the key expires elsewhere, brings all of its content back", async () => {
  const village = new Village();
  const [a, b, c] = await three(village);
  a.collections.sessions.add("k", "x");
  await village.pass(1_000);
  for (const host of ["a", "c"]) village.network.cut(host, "b");
  const untilMs = b.environment.now() + 4 * lifetimeMs;
  expect(b.collections.sessions.expireAt("k", untilMs)).toBe(true);
  await village.pass(lifetimeMs + 1_000);
  expect([a, c].map((one) => one.collections.sessions.has("k"))).toEqual([false, false]);
  expect(b.collections.sessions.values("k")).toEqual(["x"]);
  village.network.heal();
  await village.pass(6_000);
  for (const one of [a, b, c]) {
    expect(one.collections.sessions.values("k")).toEqual(["x"]);
    expect(one.collections.sessions.expiresAt("k")).toBe(untilMs);
  }
  await village.pass(4 * lifetimeMs + restMs);
  expect([left(a), left(b), left(c)]).toEqual([0, 0, 0]);
});

test("the content is kept for a peer that is away, as long as it is waited for", async () => {
  const village = new Village();
  const peerSilentMsMax = 120_000;
  const [a, b, c] = await three(village, [
    { peerSilentMsMax },
    { peerSilentMsMax },
    { peerSilentMsMax },
  ]);
  a.collections.sessions.add("k", "x");
  await village.pass(1_000);
  for (const host of ["a", "c"]) village.network.cut(host, "b");
  await village.pass(60_000);
  expect(a.collections.sessions.has("k")).toBe(false);
  expect(left(a)).toBeGreaterThan(0);
  // The peer does not know of the expiry, since it is not its turn, but the deadline is over.
  await village.pass(peerSilentMsMax + 700_000);
  expect([left(a), left(c)]).toEqual([0, 0]);
  village.network.heal();
  await village.pass(restMs);
  expect(b.collections.sessions.has("k")).toBe(false);
  expect([left(a), left(b), left(c)]).toEqual([0, 0, 0]);
});

test("two that cannot hear each other expire the same key, and it is expired once", async () => {
  const village = new Village();
  const [a, b, c] = await three(village);
  a.collections.sessions.add("k", "x");
  await village.pass(1_000);
  for (const host of ["b", "c"]) village.network.cut(host, "a");
  await village.pass(lifetimeMs);
  expect([a, b].map((one) => one.collections.sessions.has("k"))).toEqual([false, true]);
  await village.pass(boundMs + 6_000);
  expect([a, b, c].map((one) => one.collections.sessions.has("k"))).toEqual([false, false, false]);
  village.network.heal();
  await village.pass(restMs);
  expect([left(a), left(b), left(c)]).toEqual([0, 0, 0]);
});

test("a write to an expired key begins it anew, without what was there", async () => {
  const village = new Village();
  const [a, b] = await three(village);
  a.collections.sessions.add("k", "old");
  await village.pass(lifetimeMs + 500);
  b.collections.sessions.add("k", "new");
  expect(b.collections.sessions.values("k")).toEqual(["new"]);
  expect(b.collections.sessions.size()).toBe(1);
  await village.pass(500);
  expect(a.collections.sessions.values("k")).toEqual(["new"]);
});

test("what a transaction has undone has not renewed, revived or shortened anything", async () => {
  const village = new Village();
  const { collections, replica, environment } = await open(village, "a");
  const { sessions } = collections;
  sessions.add("k", "x");
  const untilMs = sessions.expiresAt("k");
  await village.pass(1_000);
  const undone = (): void =>
    replica.transact(() => {
      sessions.add("k", "y");
      sessions.expireAt("k", environment.now() + 1);
      throw new Error("undone");
    });
  expect(undone).toThrow("undone");
  expect([sessions.values("k"), sessions.expiresAt("k")]).toEqual([["x"], untilMs]);
  await village.pass(lifetimeMs);
  expect(sessions.size()).toBe(0);
  expect(undone).toThrow("undone");
  expect([sessions.size(), sessions.values("k")]).toEqual([0, []]);
});

test("who writes a deadline expires it, by its own clock; others only if it does not", async () => {
  const village = new Village();
  const [a, b, c] = await three(village, [{ skewMs: -900 }, { skewMs: 900 }]);
  a.collections.notes.set("k", "n");
  await village.pass(lifetimeMs - 100);
  expect([a, b, c].map((one) => one.collections.notes.get("k"))).toEqual(["n", "n", "n"]);
  await village.pass(200);
  expect([a, b, c].map((one) => one.collections.notes.has("k"))).toEqual([false, false, false]);
  a.collections.notes.set("gone", "n");
  await village.pass(500);
  village.crash(a);
  await village.pass(lifetimeMs);
  expect([b, c].map((one) => one.collections.notes.has("gone"))).toEqual([true, true]);
  await village.pass(boundMs + 7_000);
  expect([b, c].map((one) => one.collections.notes.has("gone"))).toEqual([false, false]);
});

test("deadlines survive a restart, and expire by the clock of the process that follows", async () => {
  const village = new Village();
  const a = await open(village, "a", { isDurable: true });
  a.collections.notes.set("k", "n");
  a.collections.notes.set("late", "n");
  a.collections.notes.expireAt("late", a.environment.now() + 60_000);
  a.collections.hits.hit("k", 3);
  await village.pass(1_000);
  village.crash(a);
  const again = await open(village, "a", { isDurable: true });
  const { notes, hits } = again.collections;
  expect([notes.get("k"), hits.value("k")]).toEqual(["n", 3]);
  await village.pass(lifetimeMs);
  expect(notes.keys()).toEqual(["late"]);
  await village.done(again.replica.close());
  const third = await open(village, "a", { isDurable: true });
  expect(third.collections.notes.size()).toBe(1);
  await village.pass(60_000 + boundMs + 10_000);
  expect(third.collections.notes.size()).toBe(0);
  await village.pass(restMs);
  expect([left(third), third.keyspace.nodes.count]).toEqual([0, 0]);
});

test("keys without a lifetime stay until they are given a deadline, which writes keep", async () => {
  const village = new Village();
  const a = await open(village, "a");
  const { pinned } = a.collections;
  pinned.set("k", "x");
  pinned.set("other", "x");
  expect(pinned.expiresAt("k")).toBeUndefined();
  await village.pass(100_000);
  const untilMs = a.environment.now() + 10_000;
  expect(pinned.at("k").expireAt(untilMs)).toBe(true);
  pinned.set("k", "y");
  expect(pinned.at("k").expiresAt()).toBe(untilMs);
  pinned.expireAt("other", untilMs);
  expect(pinned.expireAt("other", Number.POSITIVE_INFINITY)).toBe(true);
  await village.pass(10_100);
  expect(pinned.keys()).toEqual(["other"]);
  pinned.set("k", "z");
  expect(pinned.expiresAt("k")).toBeUndefined();
  await village.pass(100_000);
  expect(pinned.get("k")).toBe("z");
});

test("a deadline may be brought forward by who has seen it", async () => {
  const village = new Village();
  const { collections, environment } = await open(village, "a");
  collections.notes.set("k", "n");
  collections.notes.expireAt("k", environment.now() + 1_000);
  await village.pass(1_100);
  expect(collections.notes.has("k")).toBe(false);
  collections.notes.set("k", "n");
  collections.notes.expireAt("k", 0);
  await village.pass(10);
  expect(collections.notes.has("k")).toBe(false);
});

test("what cannot be a deadline or a lifetime is refused, and nothing changed", async () => {
  const village = new Village();
  const { collections, environment } = await open(village, "a");
  const { notes, sessions } = collections;
  notes.set("k", "n");
  const before = notes.expiresAt("k");
  for (const wrong of [-1, 0.5, Number.NaN, environment.now() + expireAheadMsMax + 1_000]) {
    expect(() => notes.expireAt("k", wrong)).toThrow(InvalidValueError);
  }
  expect(notes.expireAt("absent", environment.now())).toBe(false);
  expect(notes.expiresAt("k")).toBe(before);
  expect(() => sessions.add("k", Number.NaN as unknown as string)).toThrow(InvalidValueError);
  expect(sessions.has("k")).toBe(false);
  expect(sessions.expiresAt("k")).toBeUndefined();
  for (const expireAfterMs of [0, -1, 1.5, Number.NaN, expireAheadMsMax + 1]) {
    const wrong = { wrong: flag({ expireAfterMs }) };
    await expect(openReplica({ schema: wrong })).rejects.toThrow(UsageError);
  }
  const counted = { counted: expiring(counter(), { expireAfterMs: 1_000 }) };
  await expect(openReplica({ schema: counted })).rejects.toThrow(UsageError);
});

test("a clock too far ahead keeps a key as long as it meant to, not until its deadline", async () => {
  const village = new Village();
  const a = await open(village, "a");
  a.environment.skewMs = 3_600_000;
  a.collections.notes.set("k", "n");
  await village.pass(100);
  a.environment.skewMs = 0;
  const b = await open(village, "b", { peers: ["a"] });
  await village.pass(1_000);
  expect(b.collections.notes.get("k")).toBe("n");
  village.crash(a);
  await village.pass(lifetimeMs + boundMs + 10_000);
  expect(b.collections.notes.has("k")).toBe(false);
});

test("watchers see fields, not where they stand; registers that lose are told", async () => {
  const village = new Village();
  const [a, b] = await three(village);
  const told: unknown[] = [];
  const conflicts: unknown[] = [];
  b.replica.on("conflict", ({ collection, key, path }) => conflicts.push([collection, key, path]));
  const watching = (async () => {
    for await (const { key, field } of b.replica.watch("prefs")) told.push([key, field]);
  })();
  village.network.cut("a", "b");
  village.network.cut("c", "b");
  a.collections.prefs.set("k", "f", 1);
  b.collections.prefs.set("k", "f", 2);
  await village.pass(100);
  village.network.heal();
  await village.until(() => conflicts.length > 0);
  expect(conflicts).toEqual([["prefs", "k", ["f"]]]);
  await village.done(b.replica.close());
  await watching;
  expect(told).toContainEqual(["k", "f"]);
  expect(told).not.toContainEqual(["k", "content"]);
  expect(told).not.toContainEqual(["k", "life"]);
});

test("a peer without the schema relays lives, and both ends agree", async () => {
  const village = new Village();
  const environment = village.world.environment();
  const relay = await village.done(
    openReplica({
      schema: {},
      listen: { port: 0 },
      environment: village.outside("relay", environment),
    }),
  );
  const a = await open(village, "a", { peers: ["relay"] });
  const b = await open(village, "b", { peers: ["relay"] });
  a.collections.sessions.add("k", "x");
  await village.pass(2_000);
  expect(b.collections.sessions.values("k")).toEqual(["x"]);
  await village.pass(lifetimeMs);
  expect(b.collections.sessions.has("k")).toBe(false);
  await village.pass(restMs);
  expect([left(a), left(b)]).toEqual([0, 0]);
  expect(relay.status().keys["sessions"]).toBe(0);
});

test("a key whose content was removed is not there, on a peer without the schema either", async () => {
  const village = new Village();
  const environment = village.world.environment();
  const options = { schema: {}, listen: { port: 0 } };
  const outside = village.outside("relay", environment);
  const relay = await village.done(openReplica({ ...options, environment: outside }));
  const a = await open(village, "a", { peers: ["relay"] });
  a.collections.sessions.add("k", "x");
  a.collections.sessions.remove("k", "x");
  a.collections.sessions.add("other", "x");
  await village.pass(1_000);
  expect([a.replica, relay].map((one) => one.status().keys["sessions"])).toEqual([1, 1]);
});

test("explain says what expiry adds", async () => {
  const replica = await openReplica({ schema: { tags: orSet({ expireAfterMs: 1_000 }) } });
  const operations = replica.explain().map(({ operation, route }) => [operation, route]);
  await replica.close();
  expect(operations).toEqual([
    ["add", "free"],
    ["remove", "free"],
    ["clear", "free"],
    ["expireAt", "free"],
  ]);
});
