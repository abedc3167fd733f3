import { describe, expect, test } from "vitest";
import { Cluster } from "./cluster.ts";

describe("a broken network", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "seed %d: what is lost, doubled, late or out of order does no harm",
    async (seed) => {
      const cluster = new Cluster(seed);
      const hosts = ["a", "b", "c"];
      for (const host of hosts)
        await cluster.open(
          host,
          hosts.filter((other) => other !== host),
        );
      cluster.network.faults = {
        lossRate: 0.05,
        duplicateRate: 0.2,
        reorderRate: 0.05,
        delayMsMin: 1,
        delayMsMax: 40,
      };
      const { random } = cluster.world;
      let likes = 0;
      for (let i = 0; i < 300; i++) {
        const node = random.pick(cluster.nodes);
        const by = 1 + random.below(9);
        likes += by;
        node.collections.likes.increment(`post ${random.below(5)}`, by);
        if (random.chance(0.3)) node.collections.tags.add("post", `tag ${random.below(20)}`);
        if (random.chance(0.1)) node.collections.tags.clear("post");
        await cluster.world.settle({ forMs: random.below(30) });
      }
      cluster.network.faults = { ...cluster.network.faults, lossRate: 0, reorderRate: 0 };
      await cluster.converge();
      const states = cluster.nodes.map(({ collections }) => [
        [0, 1, 2, 3, 4].map((i) => collections.likes.value(`post ${i}`)),
        collections.tags.values("post").toSorted(),
      ]);
      expect(new Set(states.map((state) => JSON.stringify(state))).size).toBe(1);
      const [first] = cluster.nodes;
      const sum = [0, 1, 2, 3, 4].reduce(
        (total, i) => total + (first?.collections.likes.value(`post ${i}`) ?? 0),
        0,
      );
      expect(sum).toBe(likes);
    },
  );

  test("a cut is healed, and the dialer does not hammer meanwhile", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    await cluster.converge();
    cluster.network.cut("a", "b");
    a.collections.likes.increment("post");
    b.collections.likes.increment("post");
    await cluster.world.settle({ forMs: 300_000 });
    expect(cluster.isAlike()).toBe(false);
    expect(a.sync.peers).toEqual([]);
    cluster.network.heal();
    await cluster.converge(31_000);
    expect(a.collections.likes.value("post")).toBe(2);
  });

  test("a half-open link is found by both ends, and made anew", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    await cluster.converge();
    cluster.network.silence("a", "b");
    cluster.network.silence("b", "a");
    a.collections.likes.increment("post");
    await cluster.world.settle({ forMs: 25_000 });
    expect([a, b].map(({ sync }) => sync.members.kept().length)).toEqual([0, 0]);
    cluster.network.heal();
    await cluster.converge(40_000);
    expect(b.collections.likes.value("post")).toBe(1);
  });

  test("a link that is deaf in one direction is found, too", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    await cluster.open("b", ["a"]);
    await cluster.converge();
    cluster.network.silence("a", "b");
    a.collections.likes.increment("post");
    await cluster.world.settle({ forMs: 25_000 });
    expect(a.sync.members.kept()).toEqual([]);
    cluster.network.heal();
    await cluster.converge(40_000);
  });

  test("a process that stands still for a while goes on as if nothing had been", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    await cluster.converge();
    b.environment.pause();
    for (let i = 0; i < 100; i++) {
      a.collections.likes.increment("post");
      await cluster.world.settle({ forMs: 1_000 });
    }
    b.environment.resume();
    await cluster.converge(60_000);
    expect(b.collections.likes.value("post")).toBe(100);
  });

  test("a peer that does not read costs a cursor: frames stop, and others do not wait", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const slow = await cluster.open("slow", ["a"]);
    const fast = await cluster.open("fast", ["a"]);
    await cluster.converge();
    cluster.network.stall("slow");
    for (let i = 0; i < 2_000; i++) {
      a.collections.likes.increment(`post ${i}`);
      await cluster.world.settle({ forMs: 5 });
    }
    const views = a.sync.peers;
    const [slowView, fastView] = ["slow", "fast"].map((name) => views.find((v) => v.name === name));
    expect(slowView?.framesOut).toBeLessThanOrEqual(64);
    expect(slowView?.lagBatches).toBeGreaterThan(1_900);
    expect(slowView?.lagMs).toBeGreaterThan(9_000);
    expect(fastView?.lagBatches).toBeLessThan(3);
    cluster.network.resume("slow");
    await cluster.converge();
    expect(slow.collections.likes.size()).toBe(2_000);
    expect(fast.collections.likes.size()).toBe(2_000);
  });

  test("a peer that is alive but acknowledges nothing is ended after a while, with the reason", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const ended: string[] = [];
    const b = await cluster.open("b", ["a"], {
      logger: {
        debug: (_, line) => void ended.push(line),
        info: () => undefined,
        warn: () => undefined,
        error: () => undefined,
      },
    });
    await cluster.converge();
    // Its acknowledgements are made at the end of a turn, which never comes.
    a.environment.defer = () => undefined;
    b.collections.likes.increment("post");
    await cluster.world.settle({ forMs: 60_000 });
    expect(ended.some((line) => line.includes("not acknowledged"))).toBe(true);
  });
});

test("the same seed gives the same run", async () => {
  const runs = new Set<string>();
  for (let run = 0; run < 2; run++) {
    const cluster = new Cluster(77);
    for (const host of ["a", "b", "c"]) await cluster.open(host, ["a", "b"]);
    cluster.network.faults = {
      lossRate: 0.1,
      duplicateRate: 0.1,
      reorderRate: 0.1,
      delayMsMin: 1,
      delayMsMax: 30,
    };
    for (let i = 0; i < 100; i++) {
      cluster.world.random.pick(cluster.nodes).collections.likes.increment("post");
      await cluster.world.settle({ forMs: 200 });
    }
    const { messages, bytes } = cluster.network;
    runs.add(`${messages} messages, ${bytes} bytes, ${cluster.world.nowMs} ms`);
  }
  expect([...runs]).toHaveLength(1);
});
