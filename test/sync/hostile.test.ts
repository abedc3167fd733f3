import { expect, test } from "vitest";
import { actorIdFromBytes } from "../../src/crdt/dot.ts";
import { digest } from "../../src/sync/digest.ts";
import { endCodes, type Message } from "../../src/sync/message.ts";
import { MessageWriter } from "../../src/sync/protocol.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { Cluster, namedVector, type Node } from "./cluster.ts";
import { hello, Stranger } from "./stranger.ts";

async function withStranger(seed: number): Promise<{ cluster: Cluster; a: Node; s: Stranger }> {
  const cluster = new Cluster(seed);
  const a = await cluster.open("a");
  a.collections.likes.increment("post", 3);
  a.collections.tags.add("post", "x");
  a.keyspace.flush();
  const s = new Stranger(cluster, "s");
  await cluster.world.settle({ forMs: 10 });
  return { cluster, a, s };
}

const stateOf = (a: Node): unknown => [
  namedVector(a),
  a.collections.likes.keys().map((key) => [key, a.collections.likes.value(key)]),
  a.collections.tags.keys().map((key) => [key, a.collections.tags.values(key)]),
];

test("a peer that says nothing is given up on in time", async () => {
  const { cluster, a, s } = await withStranger(1);
  await cluster.world.settle({ forMs: 20_000 });
  expect(s.isClosed).toBe(true);
  expect(a.sync.peers).toEqual([]);
});

test("messages before the hello, or twice the hello, end the link", async () => {
  for (const first of [
    [{ kind: "ping" }],
    [{ kind: "frame", bytes: new Uint8Array(9) }],
    [hello(), hello()],
  ]) {
    const { cluster, s } = await withStranger(2);
    for (const message of first as Message[]) s.say(message);
    await cluster.world.settle({ forMs: 100 });
    expect(s.bye).toBe("protocol");
    expect(s.isClosed).toBe(true);
  }
});

test("a message that comes twice is passed over, one that is missing ends the link", async () => {
  const { cluster, s } = await withStranger(3);
  s.say(hello());
  s.say(hello(), 1);
  s.say({ kind: "vector", more: false, entries: [] });
  s.say({ kind: "ping" });
  s.say({ kind: "ping" }, 3);
  await cluster.world.settle({ forMs: 100 });
  expect(s.heard.filter(({ kind }) => kind === "pong")).toHaveLength(1);
  s.say({ kind: "ping" }, 9);
  await cluster.world.settle({ forMs: 100 });
  expect(s.bye).toBe("protocol");
});

test("ten million actors, an unsaid vector and a wrong digest are refused before they cost anything", async () => {
  const { cluster, a, s } = await withStranger(4);
  s.sayBytes(new MessageWriter().write(1, hello({ actors: 10_000_000 })));
  await cluster.world.settle({ forMs: 100 });
  expect(s.bye).toBe("malformed");
  const liar = new Stranger(cluster, "liar");
  await cluster.world.settle({ forMs: 10 });
  liar.say(hello({ actors: 3, digest: new Uint8Array(16) }));
  liar.say({ kind: "vector", more: false, entries: [] });
  await cluster.world.settle({ forMs: 100 });
  expect(liar.bye).toBe("protocol");
  expect(a.keyspace.actors.count).toBe(1);
});

test("an acknowledgement of what was not sent ends the link", async () => {
  const { cluster, s } = await withStranger(5);
  s.say(hello());
  s.say({ kind: "vector", more: false, entries: [] });
  await cluster.world.settle({ forMs: 10 });
  expect(s.heard.at(-1)?.kind).toBe("frame");
  s.say({ kind: "ack", frames: 2 });
  await cluster.world.settle({ forMs: 100 });
  expect(s.bye).toBe("malformed");
});

test("who claims to know more of our own writes than we do is refused", async () => {
  const { cluster, a, s } = await withStranger(6);
  const entries = [{ actor: a.keyspace.actor, sequence: 99 }];
  s.say(hello({ actors: 1, digest: digest(entries) }));
  s.say({ kind: "vector", more: false, entries });
  await cluster.world.settle({ forMs: 100 });
  expect(s.bye).toBe("clone");
});

test("pings in a flood are not answered in a flood", async () => {
  const { cluster, s } = await withStranger(7);
  s.say(hello());
  s.say({ kind: "vector", more: false, entries: [] });
  for (let i = 0; i < 1_000; i++) s.say({ kind: "ping" });
  await cluster.world.settle({ forMs: 100 });
  expect(s.heard.filter(({ kind }) => kind === "pong").length).toBeLessThan(5);
});

const question = { about: "collections", after: undefined } as const;

test("who observes and does anything but ask one question at a time is sent away", async () => {
  const whole = { after: undefined, to: undefined };
  const long = { about: "split", collection: "likes", range: whole, parts: 64 } as const;
  for (const said of [
    [{ kind: "frame", bytes: new Uint8Array(9) }],
    [{ kind: "ack", frames: 1 }],
    [{ kind: "stored", taken: 0, sent: 0 }],
    [{ kind: "vector", more: false, entries: [] }],
    [{ kind: "answer", digest: digest([]), reply: { ...question, more: false, collections: [] } }],
    [
      { kind: "ask", question: long },
      { kind: "ask", question },
    ],
  ] satisfies Message[][]) {
    const { cluster, a, s } = await withStranger(9);
    for (let i = 0; i < 10_000; i++) a.collections.likes.increment(`post ${i}`);
    // Each slice takes a while, so that there is a while in which to ask again.
    a.environment.defer = (task) => void a.environment.schedule(1, task);
    s.say(hello({ isObserver: true }));
    s.say({ kind: "vector", more: false, entries: [] });
    for (const message of said) s.say(message);
    await cluster.world.settle({ forMs: 100 });
    expect(s.bye).toBe("protocol");
    expect(a.sync.peers).toEqual([]);
    expect(a.keyspace.actors.count).toBe(1);
  }
});

test("who replicates and asks is sent away", async () => {
  const { cluster, s } = await withStranger(10);
  s.say(hello());
  s.say({ kind: "vector", more: false, entries: [] });
  s.say({ kind: "ask", question });
  await cluster.world.settle({ forMs: 100 });
  expect(s.bye).toBe("protocol");
});

test("an observer with the actor of a peer does not end the peer's link", async () => {
  const { cluster, a, s } = await withStranger(11);
  const b = await cluster.open("b", ["a"]);
  await cluster.converge();
  const entries = [{ actor: b.keyspace.actor, sequence: 7 }];
  s.say(hello({ actor: b.keyspace.actor, isObserver: true, actors: 1, digest: digest(entries) }));
  s.say({ kind: "vector", more: false, entries });
  s.say({ kind: "ask", question });
  await cluster.world.settle({ forMs: 100 });
  expect(s.heard.at(-1)?.kind).toBe("answer");
  expect(a.sync.peers.map(({ name, state }) => [name, state])).toEqual([["b", "streaming"]]);
});

test("an observer with our own actor is an observer, and no copy of ours", async () => {
  const { cluster, a, s } = await withStranger(12);
  const { actor } = a.keyspace;
  s.say(hello({ actor, isObserver: true }));
  s.say({ kind: "vector", more: false, entries: [] });
  s.say({ kind: "ask", question });
  await cluster.world.settle({ forMs: 100 });
  expect(s.heard.at(-1)?.kind).toBe("answer");
  expect(a.keyspace.actor).toBe(actor);
});

test("refused links leave nothing behind", async () => {
  const cluster = new Cluster(8);
  const a = await cluster.open("a");
  for (let i = 0; i < 200; i++) {
    const actor = actorIdFromBytes(new Uint8Array(16).fill(i));
    const s = new Stranger(cluster, `s${i}`);
    await cluster.world.settle({ forMs: 5 });
    s.say(hello({ actor, wallMs: 0 }));
    await cluster.world.settle({ forMs: 20 });
    expect(s.bye).toBe("clock");
  }
  expect(a.sync.peers).toHaveLength(16);
  await cluster.world.settle({ forMs: 61_000 });
  expect(a.sync.peers).toEqual([]);
  expect(cluster.network.connections).toBe(0);
});

test("whatever bytes come after a fine hello, the replica goes on and serves the others", async () => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = new Random(seed);
    const { cluster, a, s } = await withStranger(seed);
    const before = stateOf(a);
    s.say(hello());
    s.say({ kind: "vector", more: false, entries: [] });
    await cluster.world.settle({ forMs: 10 });
    const own = s.bytes.at(-1) ?? new Uint8Array();
    for (let i = 0; i < 10; i++) {
      // Its own frame, sent back with a few bytes changed: mostly understood, rarely sound.
      const changed = random.chance(0.7) ? own.slice() : random.bytes(random.below(40));
      if (changed.length > 2) changed[0] = random.pick([3, 4, 4, 4, 5]);
      changed[1] = 3 + i;
      for (let times = random.below(4); times > 0; times--) {
        changed[2 + random.below(changed.length)] = random.below(256);
      }
      s.sayBytes(changed);
    }
    await cluster.world.settle({ forMs: 100 });
    const b = await cluster.open("b", ["a"]);
    b.collections.likes.increment("post");
    await cluster.converge();
    expect(b.collections.likes.value("post"), `seed ${seed}`).toBeGreaterThanOrEqual(4);
    expect(b.collections.tags.has("post", "x"), `seed ${seed}`).toBe(true);
    expect(JSON.stringify(before)).toContain("post");
  }
});

test("every way to end a link has a number of its own", () => {
  expect(new Set(Object.values(endCodes)).size).toBe(Object.keys(endCodes).length);
});
