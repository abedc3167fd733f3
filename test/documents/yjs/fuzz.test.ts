/** Hostile bytes: they end their own connection at most, and leave the document whole. */
import { expect, test } from "vitest";
import * as syncProtocol from "y-protocols/sync";
import * as Y from "yjs";
import { fullGrant } from "../../../src/access.ts";
import { Random } from "../../simulation/virtual-environment.ts";
import { type MemoryClient, type MemoryPeer, onePeer, presentTo, settle } from "./in-memory.ts";

/** Changes of every kind that Yjs has. */
function edit(doc: Y.Doc, random: Random): void {
  const text = doc.getText("t");
  const list = doc.getArray<unknown>("a");
  const map = doc.getMap<unknown>("m");
  const fragment = doc.getXmlFragment("x");
  const kinds: (() => void)[] = [
    () => text.insert(random.below(text.length + 1), random.pick(["a", "bc", "\u{1F600}", "\n"])),
    () => text.length > 0 && text.delete(random.below(text.length), 1),
    () => text.length > 0 && text.format(0, text.length, { bold: random.chance(0.5) }),
    () => text.insertEmbed(0, { image: "x" }),
    () => list.insert(random.below(list.length + 1), [{ a: [1, null] }, random.below(9), true]),
    () => list.length > 0 && list.delete(random.below(list.length), 1),
    () => list.push([new Y.Map([["n", 1]]), new Y.Text("inner")]),
    () => map.set(random.pick(["k", "l"]), random.pick([1.5, "v", new Uint8Array(3), null])),
    () => map.delete("k"),
    () => fragment.push([new Y.XmlElement("p"), new Y.XmlText("xml")]),
    () => map.set("sub", new Y.Doc({ guid: `guid ${random.below(99)}` })),
  ];
  random.pick(kinds)();
}

const plain = (map: Y.Map<unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(map.toJSON()).map(([key, value]: [string, unknown]) => [
      key,
      value instanceof Y.Doc ? value.guid : value,
    ]),
  );

/** Whose number is the seed's, too. */
function seeded(random: Random): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = random.bits();
  return doc;
}

/** A real message, made wrong. */
function spoil(message: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  const bytes = Uint8Array.from(message);
  const at = random.below(bytes.length);
  switch (random.below(7)) {
    case 0:
      bytes[at] = random.below(256);
      return bytes;
    case 1:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3:
      return Buffer.concat([bytes, random.bytes(1 + random.below(8))]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(4), bytes.subarray(at)]);
    case 5: {
      const other = random.pick(others);
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length))]);
    }
    default:
      bytes.fill(random.pick([0, 127, 128, 255]), at, at + 1 + random.below(6));
      return bytes;
  }
}

/** What a client would say: messages of every kind. */
function messagesOf(doc: Y.Doc, random: Random): Uint8Array[] {
  const said: Uint8Array[] = [];
  const { peer } = onePeer(random.bits());
  const client = peer.client("d", fullGrant, doc);
  const raw = client.raw.bind(client);
  client.raw = (bytes) => {
    said.push(bytes);
    raw(bytes);
  };
  for (let at = 0; at < 12; at++) edit(doc, random);
  client.say((encoder) => syncProtocol.writeSyncStep1(encoder, doc));
  client.say((encoder) => syncProtocol.writeSyncStep2(encoder, doc));
  client.tell([random.below(100), random.below(5), { name: "n" }], [1, 5, null]);
  return said;
}

/** The peer, who comes later, and the good client have the same; it was left in peace. */
function checkWhole(peer: MemoryPeer, good: MemoryClient, seed: number): void {
  const fresh = new Y.Doc();
  Y.applyUpdate(fresh, peer.documents.encode("d"));
  const seen = [peer.documents.get("d"), good.doc, fresh].map((doc) => ({
    seed,
    closed: good.closed,
    vector: Y.encodeStateVector(doc).length,
    text: doc.getText("t").toDelta() as unknown,
    list: doc.getArray("a").toJSON(),
    map: plain(doc.getMap("m")),
  }));
  expect(seen).toEqual(seen.map(() => ({ ...seen[0], closed: undefined })));
  expect(presentTo(good)).toContainEqual({ seed });
}

test(
  "no bytes of a client harm the peer, the document, or another client",
  { timeout: 60_000 },
  () => {
    const ends: (number | undefined)[] = [];
    for (let seed = 1; seed <= 25; seed++) {
      const random = new Random(seed);
      const { world, peer } = onePeer(seed);
      const good = peer.client("d", fullGrant, seeded(random));
      for (let at = 0; at < 10; at++) edit(good.doc, random);
      settle(world, good);
      const base = Y.encodeStateAsUpdate(good.doc);
      for (let attack = 0; attack < 12; attack++) {
        const doc = seeded(random);
        Y.applyUpdate(doc, base);
        const said = messagesOf(doc, random);
        const bad = peer.client("d", fullGrant, new Y.Doc());
        for (const message of said) bad.raw(message);
        settle(world, good);
        expect(bad.closed).toBeUndefined();
        for (let at = 0; at <= random.below(3); at++) {
          bad.raw(spoil(random.pick(said), said, random));
        }
        edit(good.doc, random);
        settle(world, good);
        ends.push(bad.closed);
        bad.leave();
      }
      good.tell([1_000, 1, { seed }]);
      settle(world, good);
      checkWhole(peer, good, seed);
    }
    // Most of it is seen to be wrong, and some is by chance right.
    expect(ends.filter((code) => code === 4400).length).toBeGreaterThan(100);
    expect(new Set(ends)).toEqual(new Set([4400, undefined]));
  },
);
