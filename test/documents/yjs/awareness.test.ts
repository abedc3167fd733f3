/** Who is there: the rules for one document, and the way of a word between peers. */
import { afterEach, expect, test } from "vitest";
import * as awarenessProtocol from "y-protocols/awareness";
import * as Y from "yjs";
import {
  Awareness,
  clientsMax,
  clientsPerConnectionMax,
  outdatedMs,
} from "../../../src/documents/yjs/awareness.ts";
import type { AwarenessEntry } from "../../../src/documents/yjs/messages.ts";
import { Random, World } from "../../simulation/virtual-environment.ts";
import { link, MemoryPeer, onePeer, presentTo, settle } from "./in-memory.ts";

const by = (speaker?: object, nowMs = 0) => ({ speaker, nowMs, roomBytes: 1_000_000 });
const word = (id: number, clock: number, state = `{"at":${clock}}`): AwarenessEntry => ({
  id,
  clock,
  state,
});

test("in whatever order words come, the same is known at the end", () => {
  const random = new Random(7);
  const words = Array.from({ length: 60 }, () => {
    const clock = random.below(6);
    return word(random.below(4), clock, random.chance(0.3) ? "null" : `{"at":${clock}}`);
  });
  const ends = new Set<string>();
  for (let run = 0; run < 50; run++) {
    const awareness = new Awareness();
    for (const said of words.toSorted(() => random.next() - 0.5)) awareness.hear(said, by());
    const known = awareness.everything().toSorted((one, other) => one.id - other.id);
    ends.add(JSON.stringify(known));
  }
  expect([...ends]).toHaveLength(1);
});

test("a word that is sent back changes nothing, not even who speaks for it", () => {
  const awareness = new Awareness();
  const [mine, other] = [{}, {}];
  expect(awareness.hear(word(1, 5), by(mine))).toBe("news");
  expect(awareness.hear(word(1, 5), by(other))).toBe("known");
  expect(awareness.hear(word(1, 5, "null"), by(other))).toBe("known");
  expect(awareness.end(other, 0)).toEqual([]);
  expect(awareness.end(mine, 0)).toEqual([1]);
  expect(awareness.entries()).toEqual([]);
  expect(awareness.hear(word(1, 5), by(other))).toBe("gone");
  expect(awareness.hear(word(1, 6), by(other))).toBe("news");
});

test("a later word is taken from whoever says it, who speaks for the client from then on", () => {
  const awareness = new Awareness();
  const [old, fresh] = [{}, {}];
  awareness.hear(word(1, 5), by(old));
  expect(awareness.hear(word(1, 6), by(fresh))).toBe("news");
  expect(awareness.end(old, 0)).toEqual([]);
  expect(awareness.entries()).toEqual([word(1, 6)]);
});

test("clients of a document, of a connection, and bytes have their bounds", () => {
  const awareness = new Awareness();
  const many = {};
  for (let id = 0; id < clientsPerConnectionMax; id++) {
    expect(awareness.hear(word(id, 1), by(many))).toBe("news");
  }
  expect(awareness.hear(word(99, 1), by(many))).toBe("refused");
  for (let id = 100; awareness.entries().length < clientsMax; id++) {
    awareness.hear(word(id, 1), by());
  }
  expect(awareness.hear(word(9_999, 1), by())).toBe("refused");
  expect(awareness.hear(word(0, 2), by(many))).toBe("news");
  expect(awareness.hear(word(0, 3), { ...by(many), roomBytes: -1 })).toBe("refused");
  // Those who have gone are known for a while, and not more of them than a bound.
  for (let id = 0; id < 5_000; id++) awareness.hear(word(20_000 + id, 1, "null"), by());
  expect(awareness.everything().length).toBeLessThanOrEqual(clientsMax + 1_024);
  awareness.end(many, 0);
  awareness.expire(outdatedMs);
  awareness.expire(outdatedMs * 3);
  expect([awareness.isEmpty, awareness.bytes]).toEqual([true, 0]);
});

const world = (): { readonly all: World; readonly peers: readonly MemoryPeer[] } => {
  const all = new World(3);
  const peers = [new MemoryPeer(all), new MemoryPeer(all), new MemoryPeer(all)];
  return { all, peers };
};

function ring(): ReturnType<typeof world> & { readonly cuts: readonly (() => void)[] } {
  const { all, peers } = world();
  const [a, b, c] = peers as [MemoryPeer, MemoryPeer, MemoryPeer];
  return { all, peers, cuts: [link(a, b), link(b, c), link(c, a)] };
}

test("in a ring of peers a client is seen everywhere, its end too, and words come to rest", () => {
  const { all, peers } = ring();
  const clients = peers.map((peer) => peer.client());
  settle(all, ...clients);
  for (const [at, client] of clients.entries()) client.tell([at, 1, { name: at }]);
  settle(all, ...clients);
  for (const client of clients) expect(presentTo(client)).toHaveLength(3);
  const sent = (): number => clients.reduce((sum, client) => sum + client.sent.length, 0);
  const before = sent();
  settle(all, ...clients);
  expect(sent()).toBe(before);
  clients[0]?.leave();
  settle(all, ...clients);
  for (const client of clients.slice(1)) {
    expect(presentTo(client)).toHaveLength(2);
    expect(presentTo(client)).not.toContainEqual({ name: 0 });
  }
});

test("a peer that comes is told who is there, and what a peer that died said runs out", () => {
  const { all, peers } = world();
  const [a, b, c] = peers as [MemoryPeer, MemoryPeer, MemoryPeer];
  const cut = link(a, b);
  const [at, there] = [a.client(), b.client()];
  at.tell([1, 1, { name: "of a" }]);
  there.tell([2, 1, { name: "of b" }]);
  settle(all, at, there);
  a.environment.stop();
  cut();
  all.run({ forMs: outdatedMs / 2 });
  there.tell([2, 2, { name: "of b" }]);
  // It hears of the client of the dead peer, but not that it is any younger.
  link(b, c);
  const late = c.client();
  settle(all, there, late);
  expect(presentTo(late)).toHaveLength(2);
  all.run({ forMs: outdatedMs / 2 + 4_000 });
  settle(all, there, late);
  expect(presentTo(there)).toEqual([{ name: "of b" }]);
  expect(presentTo(late)).toEqual([{ name: "of b" }]);
});

test("who says nothing for long is gone, though its connection stands, and comes back with a word", () => {
  const { world: all, peer } = onePeer();
  const [silent, other] = [peer.client(), peer.client()];
  silent.tell([1, 1, { name: "silent" }]);
  settle(all, silent, other);
  all.run({ forMs: outdatedMs + 4_000 });
  settle(all, silent, other);
  expect(presentTo(other)).toEqual([]);
  silent.tell([1, 2, { name: "back" }]);
  settle(all, silent, other);
  expect(presentTo(other)).toEqual([{ name: "back" }]);
});

test("a client hears its own words, so that it does not take the connection for dead", () => {
  const { world: all, peer } = onePeer();
  const one = peer.client();
  one.tell([1, 1, { name: "me" }]);
  settle(all, one);
  expect(presentTo(one)).toEqual([{ name: "me" }]);
});

test("however often a client speaks in one turn, the others are told once", () => {
  const { world: all, peer } = onePeer();
  const [one, other] = [peer.client(), peer.client()];
  settle(all, one, other);
  const before = other.sent.length;
  for (let clock = 1; clock <= 500; clock++) one.tell([1, clock, { at: clock }]);
  settle(all, one, other);
  expect(presentTo(other)).toEqual([{ at: 500 }]);
  expect(other.sent.length - before).toBe(1);
});

test("a state that is no JSON, or too long, ends its client and reaches nobody", () => {
  const { world: all, peer } = onePeer();
  for (const state of ["{", "", "x".repeat(9)]) {
    const bad = peer.client();
    const bytes = Buffer.from(state);
    const inner = Buffer.from([1, 7, 1, bytes.length, ...bytes]);
    bad.raw(Buffer.from([1, inner.length, ...inner]));
    settle(all, bad);
    expect(bad.closed).toBe(4400);
  }
  const [long, other] = [peer.client(), peer.client()];
  long.tell([7, 1, "x".repeat(5_000)]);
  settle(all, long, other);
  expect([long.closed, presentTo(other)]).toEqual([4400, []]);
});

const doc = new Y.Doc();
const real = new awarenessProtocol.Awareness(doc);
afterEach(() => real.destroy());

test("the client of y-protocols that hears of its own end says its state again, one later", () => {
  const { world: all, peer } = onePeer();
  const one = peer.client();
  const other = peer.client();
  real.setLocalState({ name: "real" });
  const tell = (to: typeof one): void => {
    const clock = real.meta.get(doc.clientID)?.clock ?? 0;
    to.tell([doc.clientID, clock, real.getLocalState()]);
  };
  tell(one);
  settle(all, one, other);
  one.leave();
  settle(all, other);
  expect(presentTo(other)).toEqual([]);
  const again = peer.client();
  tell(again);
  settle(all, again, other);
  const known = again.states.get(doc.clientID);
  expect(known?.state).toBeNull();
  const entries = awarenessProtocol.encodeAwarenessUpdate(real, [doc.clientID], new Map());
  real.on("update", () => tell(again));
  awarenessProtocol.applyAwarenessUpdate(real, entries, "peer");
  settle(all, again, other);
  expect(presentTo(other)).toEqual([{ name: "real" }]);
});
