/** Batches and transactions: what throws leaves nothing behind, not even in the order of the logs. */
import { expect, test, vi } from "vitest";
import { ClosedError, CounterRangeError, OverloadedError, UsageError } from "../../src/errors.ts";
import { drawCase } from "../crdt/type-cases.ts";
import { World } from "../simulation/virtual-environment.ts";
import { Cluster } from "./cluster.ts";
import { assertWhole, dump, dumpWhole } from "./dump.ts";
import { Replica } from "./replica.ts";
import { underSeeds } from "./seeds.ts";
import { mixedWeights } from "./weights.ts";

function replica(seed = 1): { world: World; it: Replica } {
  const world = new World(seed);
  return { world, it: new Replica("it", world.environment()) };
}

/** Many random writes inside one transaction. */
function scribble(cluster: Cluster, it: Replica, count: number): void {
  for (let i = 0; i < count; i++) {
    const { draw, perform } = drawCase(cluster.random);
    perform(it.collections, cluster.random.pick(["k", "__proto__", "new"]), draw(cluster.random));
  }
}

test("a transaction that throws puts everything back, whatever it did", () => {
  underSeeds({ runs: 300 }, (seed) => {
    const cluster = new Cluster({ seed, isChecked: false, weights: { ...mixedWeights, cut: 1 } });
    for (let i = 0; i < 60; i++) cluster.step();
    for (const it of cluster.replicas) {
      it.keyspace.flush();
      const before = dumpWhole(it.keyspace);
      const attempt = (): void =>
        it.keyspace.transact(() => {
          scribble(cluster, it, 1 + cluster.random.below(30));
          if (cluster.random.chance(0.5)) it.keyspace.transact(() => scribble(cluster, it, 5));
          throw new Error("undo");
        });
      for (let times = 0; times < 2; times++) {
        expect(attempt).toThrow("undo");
        expect(dumpWhole(it.keyspace)).toEqual(before);
        assertWhole(it.keyspace);
      }
      // It is as usable as before: the next transaction stands.
      it.keyspace.transact(() => scribble(cluster, it, 10));
      assertWhole(it.keyspace);
    }
    while (cluster.replicas.some(({ keyspace }) => keyspace.flush()));
    cluster.heal();
  });
});

test("a transaction is one batch, and what was written before it is another", () => {
  const { it } = replica();
  const { counters, sets } = it.collections;
  counters.increment("a");
  const result = it.keyspace.transact(() => {
    counters.increment("a");
    sets.add("k", "e");
    expect(counters.value("a")).toBe(2);
    return "result";
  });
  expect(result).toBe("result");
  expect(it.keyspace.held.at(it.keyspace.me)).toBe(2);
});

test("a transaction that writes nothing takes no dot", () => {
  const { it } = replica();
  it.keyspace.transact(() => it.collections.sets.remove("k", "absent"));
  expect(it.keyspace.held.isEmpty).toBe(true);
});

test("a nested call joins the outer one, and its throw undoes both, though it was caught", () => {
  const { it } = replica();
  const { counters } = it.collections;
  const run = (): void =>
    it.keyspace.transact(() => {
      counters.increment("a");
      try {
        it.keyspace.transact(() => {
          counters.increment("b");
          throw new Error("inner");
        });
      } catch {
        counters.increment("c");
      }
    });
  expect(run).toThrow("inner");
  expect(counters.keys()).toEqual([]);
});

test("a promise is refused, undone, and its rejection is nobody's surprise", async () => {
  const { it } = replica();
  const unhandled = vi.fn<() => void>();
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", unhandled);
  try {
    const run = (): unknown =>
      it.keyspace.transact(async () => {
        it.collections.counters.increment("a");
        await Promise.reject(new Error("too late"));
      });
    expect(run).toThrow(UsageError);
    expect(it.collections.counters.value("a")).toBe(0);
    await new Promise((resolve) => {
      setImmediate(() => setImmediate(resolve));
    });
    expect(unhandled).not.toHaveBeenCalled();
  } finally {
    process.removeListener("unhandledRejection", unhandled);
    for (const other of others) process.on("unhandledRejection", other);
  }
});

test("an error of one write inside changes nothing, and the others stand if it is caught", () => {
  const { it } = replica();
  const { counters } = it.collections;
  counters.increment("a", Number.MAX_SAFE_INTEGER);
  it.keyspace.transact(() => {
    expect(() => counters.increment("a")).toThrow(CounterRangeError);
    counters.increment("b");
  });
  expect([counters.value("a"), counters.value("b")]).toEqual([Number.MAX_SAFE_INTEGER, 1]);
});

test("a transaction of more than 16 MiB is undone as a whole, also if the error is caught", () => {
  const { it } = replica();
  const { registers } = it.collections;
  const large = "x".repeat(1_000_000);
  const errors: unknown[] = [];
  const run = (): void =>
    it.keyspace.transact(() => {
      for (let i = 0; i < 20; i++) {
        try {
          registers.set(`key ${i}`, large);
        } catch (error) {
          errors.push(error);
        }
      }
    });
  expect(run).toThrow(OverloadedError);
  expect(errors[0]).toBeInstanceOf(OverloadedError);
  expect(registers.size()).toBe(0);
  assertWhole(it.keyspace);
});

test("names that a peer sent do not count for the size of a transaction", () => {
  const cluster = new Cluster({ seed: 1, replicas: 2, isChecked: false });
  const [sender, receiver] = cluster.replicas as [Replica, Replica];
  for (let i = 0; i < 17_000; i++) {
    sender.collections.counters.increment(`${i}`.padEnd(1_000, "."));
  }
  cluster.connect(sender, receiver);
  cluster.settle();
  receiver.keyspace.transact(() => receiver.collections.counters.increment("mine"));
  expect(receiver.collections.counters.value("mine")).toBe(1);
});

test("the writes of one turn are one batch, closed at its end", () => {
  const { world, it } = replica();
  for (let i = 0; i < 1_000; i++) it.collections.counters.increment("a");
  it.collections.sets.add("k", "e");
  expect(it.keyspace.held.isEmpty).toBe(true);
  world.run({ forMs: 0 });
  expect(it.keyspace.held.at(it.keyspace.me)).toBe(1);
  expect([...it.keyspace.lastBatch()].length).toBe(2);
});

test("a flush inside a transaction does nothing", () => {
  const { it } = replica();
  const flushed = vi.fn<() => void>();
  it.keyspace.listeners.add({ flushed, joined: () => undefined });
  it.keyspace.transact(() => {
    it.collections.counters.increment("a");
    expect(it.keyspace.flush()).toBe(false);
    expect(flushed).not.toHaveBeenCalled();
  });
  expect(flushed).toHaveBeenCalledOnce();
});

test("a listener that writes at every change comes to rest, and replicas agree", () => {
  const cluster = new Cluster({ seed: 1, replicas: 2, isChecked: false });
  for (const { keyspace, collections } of cluster.replicas) {
    keyspace.listeners.add({
      flushed: () => undefined,
      joined: () =>
        collections.counters.value("turns") < 50 && collections.counters.increment("turns"),
    });
  }
  cluster.replicas[0]?.collections.counters.increment("turns");
  cluster.heal();
  const [one, other] = cluster.replicas as [Replica, Replica];
  expect(one.collections.counters.value("turns")).toBeGreaterThanOrEqual(50);
  expect(dump(one.keyspace)).toEqual(dump(other.keyspace));
});

test("after it was sealed a keyspace takes what it says itself, and nothing after its end", () => {
  const { it } = replica();
  const { counters } = it.collections;
  counters.increment("a");
  it.keyspace.seal();
  expect(() => counters.increment("a")).toThrow(ClosedError);
  const node = it.keyspace.nodes.root("counters")?.keys.get("a") ?? 0;
  it.keyspace.amend(() => it.keyspace.add(node, 2));
  expect(it.keyspace.nodes.total(node)).toBe(3);
  expect(() => counters.value("a")).toThrow(ClosedError);
  it.keyspace.close();
  // What was added is in the batches that our actor ended with.
  expect(it.keyspace.endings.of(it.keyspace.actor)).toEqual({ at: 2, isFinal: true });
  it.keyspace.amend(() => it.keyspace.add(node, 1));
  expect(it.keyspace.nodes.total(node)).toBe(3);
});
