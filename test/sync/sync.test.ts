import { describe, expect, test } from "vitest";
import { counter, orSet } from "../../src/crdt/index.ts";
import { UsageError } from "../../src/errors.ts";
import { Cluster } from "./cluster.ts";

describe("two replicas", () => {
  test("come to hold what each wrote before and after they met", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    a.collections.likes.increment("post", 3);
    b.collections.likes.increment("post", 4);
    await cluster.converge();
    b.collections.tags.add("post", "x");
    a.collections.likes.increment("post", 1);
    await cluster.converge();
    expect(a.collections.likes.value("post")).toBe(8);
    expect(b.collections.likes.value("post")).toBe(8);
    expect(a.collections.tags.has("post", "x")).toBe(true);
  });

  test("send nothing but heartbeats at rest", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    await cluster.open("b", ["a"]);
    a.collections.likes.increment("post");
    await cluster.converge();
    await cluster.world.settle({ forMs: 20_000 });
    const { messages, bytes } = cluster.network;
    await cluster.world.settle({ forMs: 600_000 });
    expect(cluster.network.messages - messages).toBeLessThanOrEqual(2 * (600 / 4 + 1));
    expect(cluster.network.bytes - bytes).toBeLessThanOrEqual(
      4 * (cluster.network.messages - messages),
    );
  });

  test("are acknowledged what they hold, once a turn", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    await cluster.world.settle({ forMs: 100 });
    const { messages } = cluster.network;
    a.collections.likes.increment("post");
    await cluster.converge();
    await cluster.world.settle({ forMs: 100 });
    expect(cluster.network.messages - messages).toBe(2);
    const [view] = a.sync.peers;
    expect(view).toMatchObject({ lagBatches: 0, lagMs: 0, state: "streaming", name: "b" });
    expect(a.sync.members.kept()[0]?.covers(a.keyspace.held)).toBe(true);
    expect(b.sync.members.isSynced).toBe(true);
  });

  test("tell who they are and how far they are", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a", "nowhere"]);
    expect(b.sync.members.isSynced).toBe(false);
    await cluster.world.settle({ forMs: 1_000 });
    expect(b.sync.peers).toMatchObject([
      { url: "mem://a", actor: a.keyspace.actor, name: "a", state: "streaming" },
      { url: "mem://nowhere", actor: undefined, lastEnd: "nowhere cannot be reached" },
    ]);
    expect(a.sync.peers).toMatchObject([{ url: undefined, actor: b.keyspace.actor, name: "b" }]);
    expect([a.sync.members.count, b.sync.members.count]).toEqual([2, 3]);
    b.sync.removePeer("mem://nowhere");
    expect(b.sync.members.isSynced).toBe(true);
    b.sync.removePeer("mem://a");
    await cluster.world.settle({ forMs: 1_000 });
    expect([a.sync.peers, b.sync.peers]).toEqual([[], []]);
    expect(cluster.network.connections).toBe(0);
    b.sync.addPeer("mem://a");
    await cluster.world.settle({ forMs: 1_000 });
    expect(b.sync.members.isSynced).toBe(true);
    expect(() => b.sync.addPeer("ws://a")).toThrow(UsageError);
  });

  test.each([3, 10, 64, 100])(
    "a catch-up whose link broke after %d frames goes on there",
    async (frames) => {
      const cluster = new Cluster();
      const a = await cluster.open("a", [], { limits: { bytes: 10_000, touches: 10 } });
      for (let i = 0; i < 2_000; i++) a.collections.likes.increment(`key ${i}`);
      cluster.network.faults = { ...cluster.network.faults, delayMsMin: 20, delayMsMax: 20 };
      const b = await cluster.open("b", ["a"]);
      await cluster.world.settle({
        forMs: 10_000,
        until: () => (b.sync.peers[0]?.framesIn ?? 0) >= frames,
      });
      expect(b.sync.peers[0]?.stagedBytes).toBeGreaterThan(0);
      expect(b.collections.likes.size()).toBe(0);
      cluster.network.cut("a", "b");
      await cluster.world.settle({ forMs: 10 });
      cluster.network.heal();
      await cluster.converge();
      expect(b.collections.likes.size()).toBe(2_000);
      expect(b.sync.peers[0]?.framesIn).toBeLessThan(210);
      expect(b.sync.peers[0]?.stagedBytes).toBe(0);
    },
  );
});

describe("any topology", () => {
  const hosts = ["a", "b", "c", "d", "e"];
  const topologies: Record<string, (at: number) => number[]> = {
    star: (at) => (at === 0 ? [] : [0]),
    chain: (at) => (at === 0 ? [] : [at - 1]),
    ring: (at) => [(at + 1) % hosts.length],
    "full mesh, both dial": (at) => hosts.map((_, i) => i).filter((i) => i !== at),
  };

  test.each(Object.entries(topologies))(
    "%s: everybody comes to hold everything",
    async (_, dials) => {
      const cluster = new Cluster();
      for (const [at, host] of hosts.entries()) {
        await cluster.open(
          host,
          dials(at).map((i) => hosts[i] as string),
        );
      }
      for (const [at, node] of cluster.nodes.entries()) {
        node.collections.likes.increment("post", 10 ** at);
        node.collections.tags.add("post", node.host);
      }
      await cluster.converge();
      for (const node of cluster.nodes) {
        expect(node.collections.likes.value("post")).toBe(11_111);
        expect(node.collections.tags.size("post")).toBe(5);
      }
    },
  );
});

describe("one link to a peer", () => {
  test("is kept when both dial, and nobody hammers", async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = new Cluster(seed);
      cluster.network.faults = { ...cluster.network.faults, delayMsMax: 30 };
      const a = await cluster.open("a", ["b"]);
      const b = await cluster.open("b", ["a"]);
      await cluster.world.settle({ forMs: 20_000 });
      expect(cluster.network.connections, `seed ${seed}`).toBe(1);
      const views = [...a.sync.peers, ...b.sync.peers];
      expect(views.map(({ state }) => state)).toEqual(["streaming", "streaming"]);
      expect([a.sync.members.count, b.sync.members.count]).toEqual([2, 2]);
      const { messages } = cluster.network;
      await cluster.world.settle({ forMs: 60_000 });
      expect(cluster.network.messages - messages).toBeLessThanOrEqual(2 * (60 / 4 + 1));
      a.collections.likes.increment("post");
      await cluster.converge();
    }
  });

  test("is made again by the other side when its dialer has gone", async () => {
    const cluster = new Cluster(5);
    const a = await cluster.open("a", ["b"]);
    const b = await cluster.open("b", ["a"]);
    await cluster.converge();
    await cluster.world.settle({ forMs: 5_000 });
    cluster.network.cut("a", "b");
    await cluster.world.settle({ forMs: 5_000 });
    cluster.network.heal();
    await cluster.world.settle({ forMs: 60_000 });
    expect(cluster.network.connections).toBe(1);
    expect([a.sync.members.isSynced, b.sync.members.isSynced]).toEqual([true, true]);
  });

  test("a replica that dials itself ends that quietly, and once", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a", ["a"]);
    await cluster.world.settle({ forMs: 60_000 });
    expect(a.sync.peers).toMatchObject([{ state: "self" }]);
    expect(a.sync.members.isSynced).toBe(true);
    expect(a.sync.members.count).toBe(1);
    expect(cluster.network.messages).toBeLessThan(8);
  });
});

describe("refused", () => {
  test("is a peer with another type of a collection, for long and in its status", async () => {
    const cluster = new Cluster();
    const a = await cluster.openWith({ likes: counter() }, "a");
    const b = await cluster.openWith({ likes: orSet() }, "b", ["a"]);
    a.collections.likes.increment("post");
    await cluster.world.settle({ forMs: 10_000 });
    expect(b.sync.peers).toMatchObject([
      { state: "refused", refused: expect.stringContaining("likes") as string },
    ]);
    const { messages } = cluster.network;
    expect(messages).toBeLessThanOrEqual(4);
    expect(b.keyspace.held.isEmpty).toBe(true);
    expect(a.sync.peers).toMatchObject([{ state: "refused", name: "b", url: undefined }]);
    expect(a.sync.members.count).toBe(1);
  });

  test("is a peer whose clock is too far off, until it is set right", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"], { skewMs: 61_000 });
    a.collections.likes.increment("post");
    await cluster.world.settle({ forMs: 10_000 });
    expect(b.sync.peers).toMatchObject([
      { state: "refused", refused: expect.stringContaining("clock") as string },
    ]);
    b.environment.skewMs = 1_000;
    await cluster.converge(60_000);
    expect(b.sync.peers).toMatchObject([{ state: "streaming" }]);
    expect(b.sync.peers[0]?.refused).toBeUndefined();
    expect(a.sync.peers).toMatchObject([{ state: "streaming", name: "b" }]);
  });
});

describe("closing", () => {
  test("sends what is left and says goodbye; nothing remains", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    await cluster.converge();
    b.collections.likes.increment("post");
    b.keyspace.close();
    const closing = b.sync.close();
    await cluster.world.settle({ forMs: 5_000 });
    await closing;
    expect(a.collections.likes.value("post")).toBe(1);
    expect(a.sync.peers).toEqual([]);
    expect(a.sync.passed()).toEqual([]);
    await a.sync.close();
    expect(cluster.network.connections).toBe(0);
    expect(await cluster.world.settle()).toBe("idle");
  });

  test("does not wait for a peer that is silent", async () => {
    const cluster = new Cluster();
    await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    await cluster.converge();
    cluster.network.silence("a", "b");
    cluster.network.silence("b", "a");
    b.collections.likes.increment("post");
    b.keyspace.flush();
    let isClosed = false;
    void b.sync.close().then(() => (isClosed = true));
    await cluster.world.settle({ forMs: 3_000 });
    expect(isClosed).toBe(true);
  });

  test("a peer that went without a word is remembered for a while", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a", [], { peerSilentMsMax: 60_000 });
    const b = await cluster.open("b", ["a"]);
    await cluster.world.settle({ forMs: 100 });
    b.environment.stop();
    cluster.network.kill("b");
    await cluster.world.settle({ forMs: 1_000 });
    expect(a.sync.peers).toEqual([]);
    expect(a.sync.passed()).toHaveLength(1);
    await cluster.world.settle({ forMs: 60_000 });
    expect(a.sync.passed()).toEqual([]);
  });
});

describe("listeners", () => {
  test("that throw do not break a link", async () => {
    const cluster = new Cluster();
    const fail = (): never => {
      throw new Error("a listener of the user");
    };
    const a = await cluster.open("a", [], { onChange: fail, onReceived: fail });
    const b = await cluster.open("b", ["a"], { onChange: fail, onReceived: fail });
    b.collections.likes.increment("post");
    await cluster.converge();
    expect(a.sync.peers).toMatchObject([{ state: "streaming" }]);
  });

  test("that write on every change come to an end", async () => {
    const cluster = new Cluster();
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    for (const node of [a, b]) {
      let left = 50;
      node.keyspace.listeners.add({
        flushed: () => undefined,
        joined: () => {
          if (left-- > 0) node.collections.likes.increment("echo");
        },
      });
    }
    a.collections.likes.increment("echo");
    await cluster.converge();
    await cluster.world.settle({ forMs: 5_000 });
    await cluster.converge();
    expect(a.collections.likes.value("echo")).toBe(b.collections.likes.value("echo"));
  });
});
