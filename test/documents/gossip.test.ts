/** Words that replicas pass on: over a chain and a ring, bounded, and of nobody's business otherwise. */
import { expect, test } from "vitest";
import type { GossipListener, GossipPeer, GossipTopic } from "../../src/documents/gossip.ts";
import { Gossip, gossipBytesMax } from "../../src/documents/gossip-service.ts";
import { malformed, MalformedError } from "../../src/store/bytes.ts";
import { Cluster, type Node } from "../sync/cluster.ts";

/** Notes what it hears; what it has heard before is no news. */
class Noting implements GossipListener {
  readonly gossip = new Gossip();
  readonly heardWords: string[] = [];
  readonly peers: GossipPeer[] = [];
  readonly topic: GossipTopic;
  readonly #known = new Set<string>();
  greeting: string | undefined;

  constructor(topic = "notes") {
    this.topic = this.gossip.topic(topic, this);
  }

  heard(key: string, bytes: Uint8Array): boolean {
    if (bytes[0] === 0) malformed("no note");
    const word = `${key}: ${Buffer.from(bytes).toString()}`;
    this.heardWords.push(word);
    if (this.#known.has(word)) return false;
    this.#known.add(word);
    return true;
  }

  met(peer: GossipPeer): void {
    this.peers.push(peer);
    if (this.greeting !== undefined) peer.tell("greeting", Buffer.from(this.greeting));
  }

  say(word: string): void {
    this.#known.add(`k: ${word}`);
    this.topic.tell("k", Buffer.from(word));
  }
}

interface Spoken {
  readonly cluster: Cluster;
  readonly nodes: readonly Node[];
  readonly noting: readonly Noting[];
}

/** Replicas, each of which dials some of those before it; `count` is that of all ends of links. */
async function open(dials: readonly (readonly number[])[], topics: string[] = []): Promise<Spoken> {
  const cluster = new Cluster();
  const noting = dials.map((_, at) => new Noting(topics[at]));
  const nodes: Node[] = [];
  for (const [at, dialed] of dials.entries()) {
    const { gossip } = noting[at] as Noting;
    const peers = dialed.map((to) => `n${to}`);
    nodes.push(await cluster.open(`n${at}`, peers, { services: [gossip] }));
  }
  await cluster.converge();
  const ends = 2 * dials.flat().length;
  const met = (): number => noting.reduce((sum, { peers }) => sum + peers.length, 0);
  await cluster.world.settle({ until: () => met() === ends });
  return { cluster, nodes, noting };
}

const heardBy = ({ noting }: Spoken): string[][] => noting.map(({ heardWords }) => heardWords);

test("along a chain everybody hears a word once, but who said it", async () => {
  const spoken = await open([[], [0], [1]]);
  spoken.noting[0]?.say("hello");
  spoken.noting[2]?.say("and you");
  await spoken.cluster.world.settle({ forMs: 5_000 });
  expect(heardBy(spoken)).toEqual([
    ["k: and you"],
    expect.toSatisfy((words: string[]) => words.toSorted().join() === "k: and you,k: hello"),
    ["k: hello"],
  ]);
});

test("in a ring a word comes by both ways at most, and then to rest", async () => {
  const spoken = await open([[], [0], [1, 0]]);
  spoken.noting[0]?.say("round");
  await spoken.cluster.world.settle({ forMs: 60_000 });
  const [first, second, third] = heardBy(spoken).map(({ length }) => length);
  expect(first).toBe(0);
  // By the way that was longer it was no news.
  expect([second, third]).toEqual([2, 2]);
});

test("a peer that comes is told what the topic has for it", async () => {
  const cluster = new Cluster();
  const [a, b] = [new Noting(), new Noting()];
  a.greeting = "welcome";
  await cluster.open("a", [], { services: [a.gossip] });
  await cluster.open("b", ["a"], { services: [b.gossip] });
  await cluster.world.settle({ until: () => b.heardWords.length > 0, forMs: 10_000 });
  expect(b.heardWords).toEqual(["greeting: welcome"]);
});

test("a topic that nobody here listens to is passed over, not passed on, and ends no link", async () => {
  const spoken = await open([[], [0], [1]], ["notes", "other", "notes"]);
  spoken.noting[0]?.say("hello");
  spoken.nodes[0]?.collections.likes.increment("x");
  await spoken.cluster.converge();
  expect(heardBy(spoken)).toEqual([[], [], []]);
  expect(spoken.nodes[2]?.collections.likes.value("x")).toBe(1);
});

test("bytes that are no word are refused", () => {
  const { gossip } = new Noting();
  const words = [[], [5, 1], [1, 110, 0, 0, 9], [1, 110, 0, 3, 1], [1, 255, 0, 0]];
  for (const word of words) {
    expect(() => gossip.received({ send: () => true }, Uint8Array.from(word))).toThrow(
      MalformedError,
    );
  }
});

test("what is none of the topic's own ends the link", async () => {
  const { cluster, nodes, noting } = await open([[], [0]]);
  noting[1]?.topic.tell("k", Uint8Array.of(0));
  const said = (): string => String(nodes[1]?.sync.peers[0]?.lastEnd);
  await cluster.world.settle({ until: () => said().includes("no note"), forMs: 10_000 });
  expect(said()).toContain("no note");
});

test("a word that is too long is not told, and who does not read costs no more than its room", async () => {
  const { nodes, noting } = await open([[], [0]]);
  const peer = noting[1]?.peers[0] as GossipPeer;
  expect(peer.tell("k", new Uint8Array(gossipBytesMax + 1).fill(1))).toBe(false);
  nodes[0]?.environment.pause();
  const long = new Uint8Array(gossipBytesMax).fill(1);
  let sent = 0;
  while (sent < 10_000 && peer.tell("k", long)) sent++;
  expect(sent).toBeGreaterThan(0);
  expect(sent * gossipBytesMax).toBeLessThan(128 * 1024 * 1024);
});
