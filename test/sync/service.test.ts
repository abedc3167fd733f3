/** Bytes of services over links. */
import { expect, test } from "vitest";
import { malformed } from "../../src/store/bytes.ts";
import { serviceBytesMax } from "../../src/sync/message.ts";
import type { Service, ServicePeer } from "../../src/sync/service.ts";
import { Cluster, type Node } from "./cluster.ts";

/** A service that notes what happens to it. */
class Noting implements Service {
  readonly name: string;
  readonly peers: ServicePeer[] = [];
  readonly heard: string[] = [];
  left = 0;

  constructor(name = "notes") {
    this.name = name;
  }

  linked(peer: ServicePeer): void {
    this.peers.push(peer);
  }

  unlinked(): void {
    this.left++;
  }

  received({ name }: ServicePeer, bytes: Uint8Array): void {
    if (bytes[0] === 0) malformed("no note");
    this.heard.push(`${name}: ${Buffer.from(bytes).toString()}`);
  }

  get only(): ServicePeer {
    const [peer] = this.peers;
    if (!peer) throw new Error("nobody is there");
    return peer;
  }
}

const note = (text: string): Uint8Array => Buffer.from(text);

async function pair(): Promise<{
  readonly cluster: Cluster;
  readonly nodes: readonly [Node, Node];
  readonly a: Noting;
  readonly b: Noting;
}> {
  const cluster = new Cluster();
  const [a, b] = [new Noting(), new Noting()];
  const first = await cluster.open("a", [], { services: [a] });
  const second = await cluster.open("b", ["a"], { services: [b, new Noting("other")] });
  await cluster.converge();
  await cluster.world.settle({ until: () => a.peers.length > 0 && b.peers.length > 0 });
  return { cluster, nodes: [first, second], a, b };
}

test("what one end sends, the service at the other end gets, in order", async () => {
  const { cluster, a, b } = await pair();
  for (const text of ["1", "2", "3"]) expect(b.only.send(note(text))).toBe(true);
  a.only.send(note("back"));
  await cluster.world.settle({ until: () => a.heard.length === 3 && b.heard.length === 1 });
  expect(a.heard).toEqual(["b: 1", "b: 2", "b: 3"]);
  expect(b.heard).toEqual(["a: back"]);
});

test("a peer without the service is nobody to it, and the link goes on", async () => {
  const cluster = new Cluster();
  const service = new Noting();
  const a = await cluster.open("a", [], { services: [service] });
  const b = await cluster.open("b", ["a"]);
  b.collections.likes.increment("x");
  await cluster.converge();
  expect(service.peers).toEqual([]);
  expect(a.collections.likes.value("x")).toBe(1);
});

test("when the link ends its service is told once, and nothing is sent any more", async () => {
  const { cluster, nodes, a, b } = await pair();
  const peer = b.only;
  void nodes[0].sync.close();
  await cluster.world.settle({ until: () => a.left > 0 && b.left > 0, forMs: 10_000 });
  await cluster.world.settle({ forMs: 5_000 });
  expect([a.left, b.left]).toEqual([1, 1]);
  expect(peer.send(note("late"))).toBe(false);
});

test("what is not the service's ends the link as malformed", async () => {
  const { cluster, nodes, a, b } = await pair();
  b.only.send(Uint8Array.of(0));
  await cluster.world.settle({ until: () => b.left > 0, forMs: 10_000 });
  expect(a.left).toBe(1);
  expect(nodes[1].sync.peers[0]?.lastEnd).toContain("no note");
});

test("who does not read is sent no more than there is room for", async () => {
  const { cluster, nodes, b } = await pair();
  nodes[0].environment.pause();
  const large = new Uint8Array(serviceBytesMax).fill(1);
  const sent = [1, 2, 3, 4, 5, 6].filter(() => b.only.send(large)).length;
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(6);
  nodes[0].environment.resume();
  await cluster.world.settle({ forMs: 1_000 });
});

test("a service may speak before a broken series goes on, which is not begun anew for that", async () => {
  const cluster = new Cluster();
  const limits = { touches: 50, bytes: 4_096 };
  const speaking: Service = {
    name: "notes",
    linked: (peer) => void peer.send(note("hello")),
    unlinked: () => undefined,
    received: () => undefined,
  };
  const options = { services: [speaking], limits };
  const a = await cluster.open("a", [], options);
  for (let i = 0; i < 5_000; i++) {
    a.collections.likes.increment(`key:${i}`);
    if (i % 50 === 49) a.keyspace.flush();
  }
  const b = await cluster.open("b", ["a"], options);
  const framesIn = (): number => b.sync.peers[0]?.framesIn ?? 0;
  await cluster.world.settle({ until: () => framesIn() > 20, forMs: 10_000 });
  const before = framesIn();
  expect(before).toBeGreaterThan(20);
  expect(b.collections.likes.size()).toBe(0);
  cluster.network.cut("a", "b");
  await cluster.world.settle({ forMs: 100 });
  cluster.network.heal();
  await cluster.converge();
  expect(b.collections.likes.size()).toBe(5_000);
  // Over both links.
  expect(framesIn()).toBe(100);
});
