/** Clients at one peer: what they are sent, what of theirs is taken, what they cost. */
import * as syncProtocol from "y-protocols/sync";
import { expect, test } from "vitest";
import * as Y from "yjs";
import { fullGrant } from "../../../src/access.ts";
import { bufferedBytesMax } from "../../../src/documents/yjs/session.ts";
import { type MemoryClient, onePeer, readOnly, settle } from "./in-memory.ts";

test("two clients and the replica itself see what each writes", () => {
  const { world, peer } = onePeer();
  const [one, two] = [peer.client(), peer.client()];
  settle(world, one, two);
  expect([one.isSynced, two.isSynced]).toEqual([true, true]);
  one.doc.getText("t").insert(0, "from one");
  settle(world, one, two);
  two.doc.getMap("m").set("deep", new Y.Array());
  peer.documents.get("d").getText("t").insert(0, "here, and ");
  settle(world, one, two);
  for (const doc of [one.doc, two.doc, peer.documents.get("d")]) {
    expect(doc.getText("t").toJSON()).toBe("here, and from one");
    expect(doc.getMap("m").toJSON()).toEqual({ deep: [] });
  }
});

test("what a client wrote while it was away arrives when it is back, and the other way round", () => {
  const { world, peer } = onePeer();
  const [one, two] = [peer.client(), peer.client()];
  settle(world, one, two);
  one.leave();
  one.doc.getText("t").insert(0, "offline");
  two.doc.getText("t").insert(0, "online ");
  settle(world, two);
  const back = peer.client("d", fullGrant, one.doc);
  settle(world, back, two);
  expect(back.text()).toBe(two.text());
  expect(peer.text()).toBe(two.text());
  expect(two.text()).toContain("offline");
});

test("all that comes in one turn is one change, one batch and one message to the others, none to the sender", () => {
  const { world, peer } = onePeer();
  const [one, two, three] = [peer.client(), peer.client(), peer.client()];
  settle(world, one, two, three);
  let batches = 0;
  peer.keyspace.listeners.add({ flushed: () => void batches++, joined: () => undefined });
  const sent = [one, two, three].map((client) => client.sent.length);
  for (let at = 0; at < 1_000; at++) one.doc.getText("t").insert(at, "x");
  settle(world, one, two, three);
  expect(peer.text()).toBe("x".repeat(1_000));
  expect(two.text()).toBe(peer.text());
  expect([one, two, three].map((client, at) => client.sent.length - (sent[at] ?? 0))).toEqual([
    0, 1, 1,
  ]);
  // The same bytes for all: they are encoded once.
  expect(two.sent.at(-1)).toBe(three.sent.at(-1));
  expect(batches).toBe(1);
});

test("many changes of the replica in one turn are one message", () => {
  const { world, peer } = onePeer();
  const one = peer.client();
  settle(world, one);
  const before = one.sent.length;
  const text = peer.documents.get("d").getText("t");
  for (let at = 0; at < 1_000; at++) text.insert(at, "y");
  settle(world, one);
  expect(one.text()).toBe("y".repeat(1_000));
  expect(one.sent.length - before).toBe(1);
});

test("who may only read is told so once, changes nothing, and reads on", () => {
  const { world, peer } = onePeer();
  const writer = peer.client();
  writer.doc.getText("t").insert(0, "seen, gone");
  writer.doc.getText("t").delete(4, 6);
  settle(world, writer);
  const reader = peer.client("d", readOnly);
  settle(world, reader, writer);
  // Its answer to our question has nothing new in it, but all deletions.
  const again = peer.client("d", readOnly, reader.doc);
  settle(world, reader, again, writer);
  expect([reader.denials, again.denials]).toEqual([[], []]);
  reader.doc.getText("t").insert(0, "mine ");
  reader.doc.getText("t").insert(0, "and mine ");
  settle(world, reader, writer);
  expect(reader.denials).toHaveLength(1);
  expect(peer.text()).toBe("seen");
  writer.doc.getText("t").insert(4, " on");
  settle(world, reader, writer);
  expect(reader.text()).toContain("seen on");
  expect(reader.closed).toBeUndefined();
});

test("who may read nothing of it does not come in, nor anybody to what is no name", () => {
  const { peer } = onePeer();
  const none = { ...readOnly, read: [] };
  expect(peer.protocol.judge("d", none)).toBe("forbidden");
  expect(peer.protocol.judge("a/b", readOnly)).toBe("admitted");
  for (const path of ["", "x".repeat(1_025), "\u{D800}"]) {
    expect(peer.protocol.judge(path, fullGrant)).toBe("not-found");
  }
});

test("a bad update ends its client; what came before it, and from others in the same turn, counts", () => {
  const { world, peer } = onePeer();
  const [good, bad] = [peer.client(), peer.client()];
  settle(world, good, bad);
  bad.doc.getText("t").insert(0, "before");
  bad.say((encoder) => syncProtocol.writeUpdate(encoder, Uint8Array.of(1, 1, 1, 0xff)));
  bad.doc.getText("t").insert(0, "after");
  good.doc.getText("t").insert(0, "good ");
  settle(world, good, bad);
  expect([good.closed, bad.closed]).toEqual([undefined, 4400]);
  for (const text of [peer.text(), good.text()]) {
    expect(text).toContain("before");
    expect(text).toContain("good");
    expect(text).not.toContain("after");
  }
  expect(peer.warnings).toHaveLength(1);
});

test("a document that would weigh too much is refused to whom makes it so, and nothing else of that turn is lost", () => {
  const { world, peer } = onePeer();
  const [small, large, other] = [peer.client(), peer.client(), peer.client()];
  settle(world, large, small, other);
  large.doc.getText("t").insert(0, "x".repeat(6_000_000));
  settle(world, large, small, other);
  expect(other.text()).toHaveLength(6_000_000);
  peer.documents.get("d").getText("t").insert(0, "local ");
  small.doc.getText("t").insert(0, "small ");
  large.doc.getText("t").insert(0, "y".repeat(6_000_000));
  settle(world, large, small, other);
  expect([large.closed, small.closed]).toEqual([4413, undefined]);
  expect(peer.text()).toHaveLength(6_000_012);
  expect(small.text() === peer.text()).toBe(true);
  expect(other.text() === peer.text()).toBe(true);
});

test("JSON that can just be read, but not written again, is refused", () => {
  const { world, peer } = onePeer();
  const [bad, good] = [peer.client(), peer.client()];
  settle(world, bad, good);
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
  good.doc.getMap("m").set("k", nested(400));
  bad.doc.getMap("m").set("k", nested(600));
  settle(world, bad, good);
  expect([bad.closed, good.closed]).toEqual([4400, undefined]);
  expect(peer.documents.json("d")).toEqual({ m: { k: nested(400) } });
});

test("what builds on nothing is held up to a bound, and then its client is told to go", () => {
  const { world, peer } = onePeer();
  const [good, bad] = [peer.client(), peer.client()];
  settle(world, good, bad);
  const other = new Y.Doc();
  const later: Uint8Array[] = [];
  other.getText("t").insert(0, "first");
  other.on("update", (update: Uint8Array) => void later.push(update));
  for (let at = 0; at < 8; at++) other.getText("t").insert(0, `${at}`.repeat(200_000));
  for (const update of later) {
    bad.say((encoder) => syncProtocol.writeUpdate(encoder, update));
    settle(world, bad);
  }
  expect([good.closed, bad.closed]).toEqual([undefined, 4400]);
  expect(peer.documents.get("d").store.pendingStructs?.update.length ?? 0).toBeLessThan(1_100_000);
  good.doc.getText("t").insert(0, "on");
  settle(world, good);
  expect(peer.text()).toBe("on");
});

test("what waited for the change of another is sent to that other, too", () => {
  const { world, peer } = onePeer();
  const [one, two] = [peer.client(), peer.client()];
  settle(world, one, two);
  // The second has what the first wrote by another way, and is faster.
  const early = new Y.Doc();
  const said: Uint8Array[] = [];
  early.on("update", (update: Uint8Array) => void said.push(update));
  early.getText("t").insert(0, "first");
  Y.applyUpdate(two.doc, said[0] as Uint8Array, two);
  two.doc.getText("t").insert(5, ", second");
  settle(world, one, two);
  expect(peer.text()).toBe("");
  Y.applyUpdate(one.doc, said[0] as Uint8Array);
  settle(world, one, two);
  expect([one.text(), two.text(), peer.text()]).toEqual(Array(3).fill("first, second"));
});

test("when a document is removed its clients are told to go for good", () => {
  const { world, peer } = onePeer();
  const one = peer.client();
  one.doc.getText("t").insert(0, "gone");
  settle(world, one);
  one.doc.getText("t").insert(0, "on its way ");
  peer.documents.delete("d");
  settle(world, one);
  expect(one.closed).toBe(4410);
  expect(peer.documents.has("d")).toBe(false);
  const next = peer.client();
  settle(world, next);
  expect([next.isSynced, next.text()]).toEqual([true, ""]);
});

test("what a transaction undid reaches no client, and what follows it does", () => {
  const { world, peer } = onePeer();
  const one = peer.client();
  one.doc.getText("t").insert(0, "kept");
  settle(world, one);
  expect(() =>
    peer.keyspace.transact(() => {
      peer.documents.get("d").getText("t").insert(0, "undone ");
      throw new Error("undo");
    }),
  ).toThrow("undo");
  peer.documents.get("d").getText("t").insert(4, " on");
  settle(world, one);
  expect([peer.text(), one.text()]).toEqual(["kept on", "kept on"]);
});

/** Writes so much that who does not read is behind. */
function flood(client: MemoryClient, settled: () => void): number {
  let bytes = 0;
  for (let at = 0; at < 80; at++) {
    client.doc.getMap("m").set("v", `${at}`.padEnd(100_000, "z"));
    bytes += 100_000;
    settled();
  }
  return bytes;
}

test("who stops reading costs what is buffered and no more, holds up nobody, and catches up", () => {
  const { world, peer } = onePeer();
  const [writer, slow, other] = [peer.client(), peer.client(), peer.client()];
  writer.doc.getText("t").insert(0, "before");
  settle(world, writer, slow, other);
  slow.isReading = false;
  slow.bufferedMost = 0;
  const bytes = flood(writer, () => settle(world, writer, other));
  writer.doc.getText("t").delete(0, 3);
  slow.doc.getText("t").insert(0, "own, ");
  settle(world, writer, other);
  expect(bytes).toBeGreaterThan(4 * bufferedBytesMax);
  expect(slow.bufferedMost).toBeLessThan(bufferedBytesMax + 110_000);
  expect(other.text()).toBe("own, ore");
  expect(slow.text()).toBe("own, before");
  slow.isReading = true;
  settle(world, writer, slow, other);
  expect(slow.text()).toBe("own, ore");
  expect(slow.doc.getMap("m").toJSON()).toEqual(writer.doc.getMap("m").toJSON());
  // What it missed came as one difference, not as the history.
  expect(slow.sent.length).toBeLessThan(30);
});

test("who asks while it is behind is answered when it has read", () => {
  const { world, peer } = onePeer();
  const writer = peer.client();
  writer.doc.getMap("m").set("v", "z".repeat(2_000_000));
  settle(world, writer);
  const slow = peer.client();
  slow.isReading = false;
  settle(world, writer);
  // The answer to its first question waits, unread; it asks again and again.
  for (let at = 0; at < 100; at++) {
    slow.say((encoder) => syncProtocol.writeSyncStep1(encoder, new Y.Doc()));
  }
  writer.doc.getText("t").insert(0, "late");
  settle(world, writer);
  expect(slow.bufferedMost).toBeLessThan(2_100_000);
  slow.isReading = true;
  settle(world, writer, slow);
  expect([slow.isSynced, slow.text()]).toEqual([true, "late"]);
});

test("what the replica changed, and nobody was told of when a client fell behind, comes when it has read", () => {
  const { world, peer } = onePeer();
  const [slow, other] = [peer.client(), peer.client()];
  settle(world, slow, other);
  slow.isReading = false;
  slow.bufferedBytes = 2 * bufferedBytesMax;
  peer.documents.get("d").getText("t").insert(0, "unsaid");
  // Awareness finds that it is behind, when the object has the change already.
  other.tell([7, 1, { name: "other" }]);
  settle(world, other);
  slow.isReading = true;
  settle(world, slow, other);
  expect(slow.text()).toBe("unsaid");
  expect(slow.states.get(7)?.state).toEqual({ name: "other" });
});

test("a protocol that closes tells its clients to come back, and takes nobody", () => {
  const { world, peer } = onePeer();
  const one = peer.client();
  settle(world, one);
  peer.protocol.close();
  settle(world, one);
  expect(one.closed).toBe(1001);
});

test("what comes in the turn in which the replica closes ends its clients as going away, and warns nobody", () => {
  const { world, peer } = onePeer();
  const client = peer.client();
  settle(world, client);
  client.doc.getText("t").insert(0, "too late");
  peer.keyspace.close();
  world.run({ forMs: 10 });
  expect([client.closed, peer.warnings]).toEqual([1001, []]);
});
