/** Sums at and beyond the safe integers: joins never throw, and every order gives the same sum. */
import { expect, test } from "vitest";
import { CounterRangeError } from "../../src/errors.ts";
import { typeCases } from "../crdt/type-cases.ts";
import { Cluster } from "./cluster.ts";
import type { Replica } from "./replica.ts";
import { underSeeds } from "./seeds.ts";

const most = Number.MAX_SAFE_INTEGER;

function three(): { cluster: Cluster; replicas: [Replica, Replica, Replica] } {
  const cluster = new Cluster({ seed: 1, keys: [] });
  return { cluster, replicas: cluster.replicas as [Replica, Replica, Replica] };
}

test("a sum that passes through unsafe integers on its way is exact", () => {
  const { cluster, replicas } = three();
  const [a, b, c] = replicas;
  a.collections.counters.increment("k", most - 1);
  b.collections.counters.decrement("k", most);
  c.collections.counters.decrement("k", most - 1);
  // Before anything is heard, one more: the join replaces a by a larger total.
  cluster.heal();
  for (const { collections } of replicas) expect(collections.counters.value("k")).toBe(-most);
  a.collections.counters.increment("k", 1);
  cluster.settle();
  for (const { collections } of replicas) expect(collections.counters.value("k")).toBe(1 - most);
});

test("a sum beyond the safe integers is the same everywhere, and comes back exactly", () => {
  const { cluster, replicas } = three();
  const [a, b, c] = replicas;
  a.collections.counters.increment("k", most);
  b.collections.counters.increment("k", 2);
  c.collections.counters.increment("k", 3);
  cluster.heal();
  const shown = replicas.map(({ collections }) => collections.counters.value("k"));
  expect(new Set(shown)).toEqual(new Set([Number(BigInt(most) + 5n)]));
  expect(() => a.collections.counters.increment("k")).toThrow(CounterRangeError);
  b.collections.counters.decrement("k", 6);
  expect(b.collections.counters.value("k")).toBe(most - 1);
  cluster.settle();
  for (const { collections } of replicas) expect(collections.counters.value("k")).toBe(most - 1);
});

test("random sums near both limits are what BigInt says, on every replica and in every order", () => {
  underSeeds({ runs: 200 }, (seed) => {
    const cluster = new Cluster({
      seed,
      cases: typeCases.filter(({ collection }) => collection === "counters"),
      keys: ["k"],
      weights: { deliver: 40, send: 30, connect: 8, cut: 3 },
    });
    const { random } = cluster;
    for (let i = 0; i < 120; i++) {
      const replica = random.pick(cluster.replicas);
      const { counters } = replica.collections;
      const by = random.pick([1, 2, 3, most, most - 1, Math.floor(most / 2), 2 ** 52]);
      const sign = random.chance(0.5) ? 1 : -1;
      if (random.chance(0.3)) {
        const write = cluster.note(
          replica,
          { collection: "counters", key: "k" },
          { name: "increment", by: sign * by },
        );
        try {
          if (sign > 0) counters.increment("k", by);
          else counters.decrement("k", by);
          cluster.keep(write);
        } catch (error) {
          if (!(error instanceof CounterRangeError)) throw error;
          replica.pending.splice(replica.pending.indexOf(write), 1);
        }
        cluster.check(replica);
      } else cluster.step();
    }
    cluster.heal();
    expect(cluster.writes.length).toBeGreaterThan(0);
  });
});
