/** One whose token only lets it read: whatever it says changes nothing here, and takes nobody's place. */
import { expect, test } from "vitest";
import { grantOf } from "../../src/access.ts";
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import { digest } from "../../src/sync/digest.ts";
import type { Hello, Message } from "../../src/sync/message.ts";
import { Cluster, namedVector, type Node } from "./cluster.ts";
import { hello, Stranger } from "./stranger.ts";

const reads = grantOf({ subject: "reader" }, ["replicate-read"]);

async function withReader(seed: number) {
  const cluster = new Cluster(seed);
  const heard: string[] = [];
  const service = {
    name: "locks",
    linked: () => heard.push("linked"),
    unlinked: () => heard.push("unlinked"),
    received: () => heard.push("received"),
  };
  const forks: unknown[] = [];
  const a = await cluster.open("a", [], {
    listen: { port: 0, authenticate: ({ remoteAddress }) => remoteAddress !== "s" || reads },
    services: [service],
    onForked: (forked) => forks.push(forked),
  });
  a.collections.likes.increment("post", 3);
  a.keyspace.flush();
  const s = new Stranger(cluster, "s");
  await cluster.world.settle({ forMs: 10 });
  return { cluster, a, s, heard, forks };
}

const stateOf = (a: Node): unknown => [namedVector(a), a.collections.likes.value("post")];

const vector: Message = { kind: "vector", more: false, entries: [] };

test("it is told that it may only read, offered no service, and sent everything", async () => {
  const { cluster, a, s, heard } = await withReader(1);
  expect(s.heard[0]).toMatchObject({ kind: "hello", takesNothing: true });
  expect((s.heard[0] as Hello).services).toBeUndefined();
  s.say(hello({ services: ["locks"] }));
  s.say(vector);
  await cluster.world.settle({ forMs: 10 });
  expect(s.heard.at(-1)?.kind).toBe("frame");
  s.say({ kind: "service", service: "locks", bytes: new Uint8Array(3) });
  await cluster.world.settle({ forMs: 10 });
  expect(heard).toEqual([]);
  expect(a.sync.members.count).toBe(1);
  expect(a.sync.members.kept()).toEqual([]);
});

test("a frame of its ends the link, unread", async () => {
  const { cluster, a, s } = await withReader(2);
  const before = stateOf(a);
  s.say(hello());
  s.say(vector);
  s.say({ kind: "frame", bytes: new Uint8Array([1, 2, 3]) });
  await cluster.world.settle({ forMs: 100 });
  expect(s.bye).toBe("unauthorized");
  expect(stateOf(a)).toEqual(before);
});

test("what it claims to know of our own actor, or that it is our actor, makes us nobody else", async () => {
  for (const claim of ["vector", "hello"] as const) {
    const { cluster, a, s, forks } = await withReader(3);
    const { actor } = a.keyspace;
    const entries = [{ actor, sequence: 99 }];
    s.say(hello({ actors: 1, digest: digest(entries), ...(claim === "hello" ? { actor } : {}) }));
    s.say({ kind: "vector", more: false, entries });
    await cluster.world.settle({ forMs: 100 });
    expect(s.isClosed).toBe(true);
    expect(forks).toEqual([]);
    expect(a.keyspace.actor).toBe(actor);
  }
});

test("what it says of the end of others is not believed", async () => {
  const { cluster, a, s } = await withReader(4);
  const other = actorIdFromBytes(new Uint8Array(16).fill(7));
  const ending = { at: 1, isFinal: true };
  const entries = [{ actor: other, sequence: 1, ending }];
  s.say(hello({ actors: 1, digest: digest(entries) }));
  s.say({ kind: "vector", more: false, entries });
  s.say({ kind: "ended", endings: [[a.keyspace.actor, ending]] });
  await cluster.world.settle({ forMs: 100 });
  expect(a.keyspace.endings.of(other)).toBeUndefined();
  expect(a.keyspace.endings.of(a.keyspace.actor)).toBeUndefined();
  expect(a.sync.members.mayBring(a.keyspace.actors.intern(other), 1)).toBe(false);
});

test("under the name of a peer that is linked it ends that link not", async () => {
  const { cluster, a, s } = await withReader(5);
  const b = await cluster.open("b", ["a"]);
  await cluster.world.settle({ forMs: 100 });
  s.say(hello({ actor: b.keyspace.actor, link: 1_000 }));
  s.say(vector);
  await cluster.world.settle({ forMs: 100 });
  expect(s.bye).toBe("duplicate");
  expect(a.sync.peers.map(({ name, state }) => [name, state])).toEqual([["b", "streaming"]]);
  b.collections.likes.increment("post");
  await cluster.world.settle({ forMs: 100 });
  expect(a.collections.likes.value("post")).toBe(4);
});

test("one that was linked before a peer of the same name came gives way to it", async () => {
  const { cluster, a, s } = await withReader(6);
  const b = await cluster.open("b");
  s.say(hello({ actor: b.keyspace.actor, link: 1_000, nonce: new Uint8Array(16).fill(255) }));
  s.say(vector);
  await cluster.world.settle({ forMs: 100 });
  b.sync.addPeer("mem://a");
  await cluster.world.settle({ forMs: 5_000 });
  expect(a.sync.peers.map(({ name, state }) => [name, state])).toEqual([["b", "streaming"]]);
});
