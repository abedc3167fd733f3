/**
 * Frames so small that nearly every catch-up is a series, cut at every frame, resumed or not, with
 * other peers' frames in between, removals forgotten and names and numbers reused meanwhile.
 */
import { expect, test } from "vitest";
import { Exchange } from "../../src/store/exchange.ts";
import { setSpecification } from "../crdt/specifications.ts";
import { type TypeCase, typeCases } from "../crdt/type-cases.ts";
import { Cluster, type End } from "./cluster.ts";
import { dump } from "./dump.ts";
import type { Replica } from "./replica.ts";
import { underSeeds } from "./seeds.ts";
import { mixedWeights } from "./weights.ts";

const limits = { touches: 3, bytes: 120 };

/** A set of many elements: catching up takes many frames, and names come and go. */
const wideSet: TypeCase = {
  ...(typeCases.find(({ collection }) => collection === "sets") as TypeCase),
  draw: (random) => {
    if (random.chance(0.02)) return { name: "delete" };
    const element = `element ${random.below(24)}`;
    return { name: random.chance(0.6) ? "add" : "remove", element };
  },
  specification: setSpecification,
};
const others = typeCases.filter(({ collection }) => ["counters", "registers"].includes(collection));

const happened = { plain: 0, series: 0, complete: 0, resumed: 0, renumbered: 0 };

test(
  "histories over links that are always catching up show what the types mean",
  { timeout: 90_000 },
  () => {
    underSeeds({ runs: 120 }, (seed) => {
      const cluster = new Cluster({
        seed,
        limits,
        keys: ["a", "b", "c"],
        cases: [wideSet, wideSet, wideSet, ...others],
        weights: { ...mixedWeights, write: 50, cut: 5, connect: 15, forget: 10, recreate: 0.3 },
      });
      for (let i = 0; i < 150; i++) cluster.step();
      cluster.heal();
      cluster.assertForgotten();
      for (const [what, count] of Object.entries(cluster.happened)) {
        happened[what as keyof typeof happened] += count;
      }
    });
    if (process.env["TRELLIS_SEED"] !== undefined) return;
    expect(happened.complete).toBeGreaterThan(100);
    expect(happened.resumed).toBeGreaterThan(30);
  },
);

/** Two replicas and their link, heard by both. */
function pair(seed = 1): { cluster: Cluster; a: Replica; b: Replica } {
  const cluster = new Cluster({ seed, replicas: 2, keys: [], limits });
  const [a, b] = cluster.replicas;
  if (a === undefined || b === undefined) throw new Error("assertion: two replicas");
  return { cluster, a, b };
}

/** Links the two and lets both hear the other's hello. */
function hello(cluster: Cluster, a: Replica, b: Replica): { from: End; to: End } {
  const [from, to] = cluster.connect(a, b).ends;
  cluster.deliver(from);
  cluster.deliver(to);
  return { from, to };
}

/** Moves up to `frames` frames and their acknowledgements. */
function move({
  cluster,
  from,
  to,
  frames,
}: {
  cluster: Cluster;
  from: End;
  to: End;
  frames: number;
}): number {
  let moved = 0;
  while (moved < frames && cluster.send(from)) {
    moved++;
    while (cluster.deliver(to));
    while (cluster.deliver(from));
  }
  return moved;
}

function relink(cluster: Cluster, a: Replica, b: Replica): { from: End; to: End } {
  const link = cluster.linkOf(a, b);
  if (link) cluster.cut(link);
  return hello(cluster, a, b);
}

/** A common start, so that what follows is an interval and no complete state. */
function acquainted(): { cluster: Cluster; a: Replica; b: Replica } {
  const { cluster, a, b } = pair();
  a.collections.counters.increment("common");
  b.collections.counters.increment("common");
  hello(cluster, a, b);
  cluster.settle();
  return { cluster, a, b };
}

test.each(["an interval", "a complete state"])(
  "%s is interrupted at every frame, and goes on where the stage ends",
  (kind) => {
    const { cluster, a, b } = kind === "an interval" ? acquainted() : pair();
    for (let i = 0; i < 30; i++) {
      a.collections.sets.add("k", i);
      a.keyspace.flush();
    }
    let frames = 0;
    for (let moved = 1; moved > 0; frames += moved) {
      const { from, to } = relink(cluster, a, b);
      moved = move({ cluster, from, to, frames: 1 });
      // Nothing of a half-received series is shown.
      expect([0, 30]).toContain(b.collections.sets.size("k"));
      expect(frames).toBeLessThan(60);
    }
    expect(b.collections.sets.size("k")).toBe(30);
    expect(frames).toBeGreaterThan(5);
    expect(frames).toBeLessThan(20);
    expect(dump(b.keyspace)).toEqual(dump(a.keyspace));
  },
);

test("a series that was resumed and cut again goes on from its second run", () => {
  // Values grow between the runs, so the second run's frames carry fewer names than the first's.
  const { cluster, a, b } = pair();
  for (let i = 0; i < 40; i++) a.collections.registers.set(`key ${i}`, i);
  const first = relink(cluster, a, b);
  expect(move({ cluster, ...first, frames: 2 })).toBe(2);
  for (let i = 0; i < 4; i++) expect(cluster.send(first.from)).toBe(true);
  for (let i = 0; i < 40; i++) {
    if (i % 4 !== 0) a.collections.registers.set(`key ${i}`, "x".repeat(100));
  }
  const second = relink(cluster, a, b);
  expect(move({ cluster, ...second, frames: 2 })).toBe(2);
  relink(cluster, a, b);
  cluster.settle();
  expect(dump(b.keyspace)).toEqual(dump(a.keyspace));
});

test("a number that is used again during a series does not change what was staged before", () => {
  const { cluster, a, b } = acquainted();
  a.collections.sets.add("k", "doomed");
  cluster.settle();
  expect(b.collections.sets.values("k")).toEqual(["doomed"]);
  const link = cluster.linkOf(a, b);
  if (link) cluster.cut(link);
  a.collections.sets.remove("k", "doomed");
  a.keyspace.flush();
  for (let i = 0; i < 12; i++) {
    a.collections.sets.add("k", i);
    a.keyspace.flush();
  }
  const { from, to } = hello(cluster, a, b);
  expect(move({ cluster, from, to, frames: 2 })).toBe(2);
  // Retention falls: the removal is forgotten, its name too, and the number means another name.
  while (a.keyspace.forgetting.step([], 100));
  for (let i = 0; i < 5; i++) {
    a.collections.sets.add("k", `other ${i}`);
    a.keyspace.flush();
  }
  cluster.settle();
  expect(b.collections.sets.has("k", "doomed")).toBe(false);
  expect(dump(b.keyspace)).toEqual(dump(a.keyspace));
});

test("a number that was used again before a series is named in its second frame", () => {
  const { cluster, a, b } = acquainted();
  a.collections.sets.add("k", "kept");
  a.collections.sets.add("k", "doomed");
  cluster.settle();
  a.collections.sets.remove("k", "doomed");
  cluster.settle();
  while (a.keyspace.forgetting.step([], 100));
  for (let i = 0; i < 12; i++) {
    // The number goes to the first new name, which is touched again and so is sent last.
    a.collections.sets.add("k", i);
    a.keyspace.flush();
  }
  a.collections.sets.add("k", 0);
  cluster.settle();
  expect(b.collections.sets.size("k")).toBe(13);
  expect(dump(b.keyspace)).toEqual(dump(a.keyspace));
});

test("a floor that rises above a series makes it start anew", () => {
  const { cluster, a, b } = pair();
  for (let i = 0; i < 30; i++) a.collections.sets.add("k", i);
  const { from, to } = hello(cluster, a, b);
  expect(move({ cluster, from, to, frames: 3 })).toBe(3);
  for (let i = 0; i < 30; i += 2) a.collections.sets.remove("k", i);
  a.keyspace.flush();
  while (a.keyspace.forgetting.step([], 100));
  cluster.settle();
  expect(b.collections.sets.size("k")).toBe(15);
  expect(dump(b.keyspace)).toEqual(dump(a.keyspace));
});

test("what is removed between two frames of a complete state is not removed from third parties", () => {
  const { cluster, a, b } = pair();
  for (let i = 0; i < 30; i++) a.collections.sets.add("k", i);
  const { from, to } = hello(cluster, a, b);
  move({ cluster, from, to, frames: 3 });
  for (let i = 0; i < 30; i += 3) a.collections.sets.remove("k", i);
  for (let i = 0; i < 30; i += 6) a.collections.sets.add("k", i);
  b.collections.sets.add("k", "mine");
  cluster.settle();
  expect(b.collections.sets.size("k")).toBe(26);
  expect(dump(b.keyspace)).toEqual(dump(a.keyspace));
});

test("a stage that no link goes on with pins no names once it is discarded", () => {
  const { cluster, a, b } = pair();
  for (let i = 0; i < 30; i++) a.collections.sets.add("k", i);
  const { from, to } = hello(cluster, a, b);
  move({ cluster, from, to, frames: 3 });
  const link = cluster.linkOf(a, b);
  if (link) cluster.cut(link);
  for (let i = 0; i < 3; i++) {
    hello(cluster, a, b);
    const again = cluster.linkOf(a, b);
    if (again) cluster.cut(again);
  }
  const stage = b.stages.get(a);
  expect(stage).toBeDefined();
  if (stage) Exchange.discard(b.keyspace, stage);
  while (b.keyspace.forgetting.step([], 100));
  expect(b.keyspace.nodes.count).toBe(0);
});

test("a batch larger than a frame travels whole", () => {
  const { cluster, a, b } = acquainted();
  a.keyspace.transact(() => {
    for (let i = 0; i < 20; i++) a.collections.registers.set(`key ${i}`, "x".repeat(50));
  });
  cluster.settle();
  expect(b.collections.registers.size()).toBe(20);
});
