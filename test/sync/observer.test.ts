/** Who only asks: what a live replica tells of itself, and what it keeps of who asked. */
import { describe, expect, test } from "vitest";
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import { UsageError } from "../../src/errors.ts";
import { KeyspaceWitness } from "../../src/store/compare/keyspace-witness.ts";
import { sliceUnitsMax } from "../../src/store/compare/pace.ts";
import { type Verification, verify } from "../../src/store/compare/verification.ts";
import type { Witness } from "../../src/store/compare/witness.ts";
import { Observer } from "../../src/sync/observer.ts";
import { observersMax } from "../../src/sync/observers.ts";
import { answerMsMax, type PeerWitness } from "../../src/sync/peer-witness.ts";
import type { Reply } from "../../src/sync/question.ts";
import { Cluster, namedVector, type Node } from "./cluster.ts";
import { liar, optionsOf, through, witness } from "./observing.ts";

const compare = (
  cluster: Cluster,
  witnesses: readonly [Witness, Witness],
  timeoutMs = 10_000,
): Promise<Verification> =>
  through(
    cluster,
    verify(witnesses, { environment: cluster.world.environment(), keysMax: 1_000, timeoutMs }),
  );

const keysFound = ({ collections }: Verification): string[] =>
  collections.flatMap(({ differences }) =>
    differences.flatMap(({ listed = [] }) => listed.map(({ key }) => key)),
  );

/** All that a replica knows of others. */
const known = ({ sync, keyspace }: Node): string =>
  JSON.stringify([
    sync.members.count,
    sync.peers,
    sync.members.kept().length,
    sync.passed().length,
    sync.knownPeers().length,
    sync.members.isSynced,
    keyspace.actors.count,
  ]);

describe("an observer", () => {
  test("leaves no trace at the replica that it asks, neither while it asks nor afterwards", async () => {
    const cluster = new Cluster(1);
    const a = await cluster.open("a");
    for (let i = 0; i < 100; i++) a.collections.tags.add("post", `tag ${i}`);
    a.keyspace.flush();
    const before = known(a);
    const vector = namedVector(a);
    const observer = await witness(cluster, "a");
    await through(cluster, observer.begin());
    expect(known(a)).toBe(before);
    // Nothing is kept for it, though it never heard of what is removed.
    a.collections.tags.clear("post");
    a.keyspace.flush();
    while (a.keyspace.forgetting.step(a.sync.passed(), 1_000));
    expect([a.keyspace.retention.count, a.keyspace.nodes.count]).toEqual([0, 0]);
    expect(known(a)).toBe(before);
    await through(cluster, observer.close());
    await cluster.world.settle({ forMs: 1_000 });
    expect(known(a)).toBe(before);
    expect(namedVector(a)).not.toBe(vector);
    expect(cluster.network.connections).toBe(0);
  });

  test("hears nothing of what changes, unless it asks", async () => {
    const cluster = new Cluster(2);
    const a = await cluster.open("a");
    const observer = await witness(cluster, "a");
    const { bytes } = observer;
    for (let i = 0; i < 100; i++) {
      a.collections.likes.increment(`post ${i}`);
      await cluster.world.settle({ forMs: 10 });
    }
    expect(observer.bytes).toBe(bytes);
    expect(await through(cluster, observer.begin())).toEqual([
      { name: "likes", tag: "counter/1", keys: 100 },
      { name: "tags", tag: "or-set/1", keys: 0 },
    ]);
    expect([...(await through(cluster, observer.vector()))]).toEqual([
      [a.keyspace.actor, a.keyspace.held.at(a.keyspace.me)],
    ]);
  });

  test("is answered as a keyspace at hand answers, also about what is not known", async () => {
    const cluster = new Cluster(3);
    const a = await cluster.open("a");
    for (const key of ["", "__proto__", "é", "\u{1F600}", "\uFF61", "b", "a"]) {
      a.collections.likes.increment(key);
    }
    const here = new KeyspaceWitness({ ...a, isStill: false });
    const there = await witness(cluster, "a");
    const whole = { after: undefined, to: undefined };
    const questions: ((of: Witness) => Promise<unknown>)[] = [
      (of) => of.begin(),
      (of) => of.split("likes", whole, 64),
      (of) => of.split("likes", { after: "", to: "é" }, 2),
      (of) => of.digests("likes", whole, ["", "a", "\u{1F600}"]),
      (of) => of.split("unheard of", whole, 64),
      (of) => of.digests("unheard of", whole, ["a"]),
    ];
    for (const ask of questions) {
      expect(await through(cluster, ask(there))).toEqual(await through(cluster, ask(here)));
    }
  });

  test("is told of vectors and collections that take several messages", async () => {
    const cluster = new Cluster(4);
    const a = await cluster.open("a");
    const observer = await witness(cluster, "a");
    for (let i = 0; i < 40_000; i++) {
      const bytes = new Uint8Array(16).fill(9);
      new DataView(bytes.buffer).setUint32(0, Math.imul(i, 0x9e3779b1) >>> 0);
      const actor = a.keyspace.actors.intern(actorIdFromBytes(bytes));
      a.keyspace.held.raise(actor, i + 1);
      a.keyspace.actors.changed(actor);
    }
    for (let i = 0; i < 200; i++) {
      a.keyspace.nodes.addRoot(`${"x".repeat(1_000)}${i}`, "counter/1", {
        kind: "leaf",
        payload: "sum",
      });
    }
    const sizes = await through(cluster, observer.begin());
    expect(sizes).toHaveLength(202);
    expect(sizes.map(({ name }) => name)).toEqual(
      a.keyspace.nodes.roots.map(({ name }) => name).toSorted(),
    );
    expect((await through(cluster, observer.vector())).size).toBe(40_000);
  });

  test("who comes when there are enough of them is refused, until one goes", async () => {
    const cluster = new Cluster(5);
    const a = await cluster.open("a");
    a.collections.likes.increment("post");
    const observers: PeerWitness[] = [];
    for (let i = 0; i < observersMax; i++) observers.push(await witness(cluster, "a"));
    await expect(witness(cluster, "a")).rejects.toThrow("others observe already");
    await through(cluster, observers[0]?.close() ?? Promise.resolve());
    await witness(cluster, "a");
  });

  test("does not keep a replica from closing, and is told", async () => {
    const cluster = new Cluster(6);
    const a = await cluster.open("a");
    for (let i = 0; i < 50_000; i++) a.collections.likes.increment(`post ${i}`);
    const observer = await witness(cluster, "a");
    const answer = observer.split("likes", { after: undefined, to: undefined }, 64);
    answer.catch(() => undefined);
    await cluster.world.settle({ turnsMax: 20 });
    await through(cluster, a.sync.close());
    await expect(answer).rejects.toThrow("the replica closes");
    await expect(observer.begin()).rejects.toThrow(UsageError);
  });

  test("that finds nobody says so", async () => {
    const cluster = new Cluster(7);
    await expect(witness(cluster, "nobody")).rejects.toMatchObject({
      code: "TRELLIS_USAGE",
      cause: expect.any(Error) as unknown,
    });
  });
});

describe("two live replicas", () => {
  test("of 100,000 keys with 10 that differ are compared for less than 64 kB, in slices", async () => {
    const cluster = new Cluster(11);
    const a = await cluster.open("a");
    for (let i = 0; i < 100_000; i++) a.collections.likes.increment(`post ${i}`);
    const b = await cluster.open("b", ["a"]);
    await cluster.converge();
    const stateBytes = cluster.network.bytes;
    cluster.network.cut("a", "b");
    const changed = Array.from({ length: 10 }, (_, i) => `post ${i * 9_973}`);
    for (const key of changed) b.collections.likes.increment(key);
    b.keyspace.flush();
    cluster.network.bytes = 0;
    let deferred = 0;
    const defer = a.environment.defer.bind(a.environment);
    a.environment.defer = (task) => {
      deferred++;
      defer(task);
    };
    const witnesses = [await witness(cluster, "a"), await witness(cluster, "b")] as const;
    const verification = await compare(cluster, witnesses, 0);
    expect(keysFound(verification)).toEqual(changed.toSorted());
    expect(verification.verdict).toBe("behind");
    expect(verification.lags).toEqual([{ actor: b.keyspace.actor, batches: [0, 1] }]);
    expect(cluster.network.bytes).toBeLessThan(64 * 1024);
    expect(stateBytes).toBeGreaterThan(10 * cluster.network.bytes);
    // All keys are gathered, sorted and digested once, and some of them again.
    expect(deferred).toBeGreaterThan(200_000 / sliceUnitsMax);
  });

  test("that are the same cost next to nothing, however much they hold", async () => {
    const cluster = new Cluster(12);
    const a = await cluster.open("a");
    await cluster.open("b", ["a"]);
    for (let i = 0; i < 20_000; i++) a.collections.likes.increment(`post ${i}`);
    await cluster.converge();
    cluster.network.bytes = 0;
    const witnesses = [await witness(cluster, "a"), await witness(cluster, "b")] as const;
    expect(await compare(cluster, witnesses)).toMatchObject({ verdict: "same", lags: [] });
    expect(cluster.network.bytes).toBeLessThan(8 * 1024);
  });

  test("that are linked and in use are the same, though they change while they are asked", async () => {
    for (let seed = 20; seed < 30; seed++) {
      const cluster = new Cluster(seed);
      cluster.network.faults = { ...cluster.network.faults, delayMsMin: 5, delayMsMax: 40 };
      const a = await cluster.open("a");
      const b = await cluster.open("b", ["a"]);
      for (let i = 0; i < 2_000; i++) a.collections.likes.increment(`post ${i}`);
      await cluster.converge();
      let isOver = false;
      const write = (node: Node): void => {
        if (isOver) return;
        const post = `post ${cluster.world.random.below(2_000)}`;
        node.collections.likes.increment(post);
        node.collections.tags.add(post, `tag ${cluster.world.random.below(9)}`);
        node.environment.schedule(5 + cluster.world.random.below(20), () => write(node));
      };
      write(a);
      write(b);
      const witnesses = [await witness(cluster, "a"), await witness(cluster, "b")] as const;
      const { verdict } = await compare(cluster, witnesses, 60_000);
      isOver = true;
      expect(verdict, `seed ${seed}`).toBe("same");
    }
  });

  test("that have lost each other are told apart, and who is ahead", async () => {
    const cluster = new Cluster(13);
    const a = await cluster.open("a");
    const b = await cluster.open("b", ["a"]);
    a.collections.likes.increment("post");
    await cluster.converge();
    cluster.network.cut("a", "b");
    for (let i = 0; i < 3; i++) {
      a.collections.likes.increment("post");
      a.keyspace.flush();
    }
    b.collections.tags.add("post", "x");
    const witnesses = [await witness(cluster, "a"), await witness(cluster, "b")] as const;
    const { verdict, lags } = await compare(cluster, witnesses);
    expect(verdict).toBe("behind");
    expect(Object.fromEntries(lags.map((lag) => [lag.actor, lag.batches]))).toEqual({
      [a.keyspace.actor]: [4, 1],
      [b.keyspace.actor]: [0, 1],
    });
  });
});

describe("a peer that answers wrongly", () => {
  const digested = { keys: 1, digest: new Uint8Array(16) };
  const sizes = { about: "collections", more: true, collections: [] } as const;
  const range = { after: "b", to: "d" };

  test.each<[string, Reply, (of: Witness) => Promise<unknown>]>([
    ["about something else", sizes, (of) => of.split("likes", range, 9)],
    ["with nothing, and more to come", sizes, (of) => of.begin()],
    [
      "with the same for ever",
      { ...sizes, collections: [{ name: "a", tag: "t", keys: 1 }] },
      (of) => of.begin(),
    ],
    [
      "with a part before the range",
      { about: "split", parts: [{ last: "b", ...digested }] },
      (of) => of.split("likes", range, 9),
    ],
    [
      "with a part behind the range",
      { about: "split", parts: [{ last: "e", ...digested }] },
      (of) => of.split("likes", range, 9),
    ],
    [
      "with too many parts",
      { about: "split", parts: ["c", "c1"].map((last) => ({ last, ...digested })) },
      (of) => of.split("likes", range, 1),
    ],
    [
      "with too few digests",
      { about: "digests", digests: [digested] },
      (of) => of.digests("likes", range, ["c"]),
    ],
  ])("%s is found out", async (_, reply, ask) => {
    const cluster = new Cluster(31);
    await liar(cluster, reply);
    const observer = await witness(cluster, "liar");
    await expect(through(cluster, ask(observer))).rejects.toMatchObject({
      code: "TRELLIS_PROTOCOL",
    });
    await through(cluster, observer.close());
  });

  test("or not at all is given up on", async () => {
    const cluster = new Cluster(32);
    await liar(cluster, undefined);
    const observer = await witness(cluster, "liar");
    const startedMs = cluster.world.nowMs;
    await expect(through(cluster, observer.begin())).rejects.toThrow("no answer for");
    expect(cluster.world.nowMs - startedMs).toBeLessThan(answerMsMax + 1_000);
  });

  test("and a replica that observes nobody is not asked twice at once", async () => {
    const cluster = new Cluster(33);
    await cluster.open("a");
    const { observer } = await through(cluster, Observer.open(optionsOf(cluster, "a")));
    const first = observer.ask({ about: "vector", after: undefined });
    first.catch(() => undefined);
    const second = observer.ask({ about: "vector", after: undefined });
    await expect(through(cluster, second)).rejects.toMatchObject({ code: "TRELLIS_PROTOCOL" });
  });
});
