/** Yjs documents as values of a replica: captured, replicated, undone, kept small, let go. */
import { afterEach, describe, expect, test } from "vitest";
import * as Y from "yjs";
import { yDoc } from "../../src/bridge/yjs.ts";
import {
  type Change,
  counter,
  openReplica,
  OverloadedError,
  type Replica,
} from "../../src/index.ts";

const schema = { notes: yDoc(), likes: counter() };
const opened: Replica<typeof schema>[] = [];

async function open(peers: readonly string[] = []): Promise<Replica<typeof schema>> {
  const replica = await openReplica({ schema, listen: { port: 0 }, peers });
  opened.push(replica);
  return replica;
}

async function pair(): Promise<[Replica<typeof schema>, Replica<typeof schema>]> {
  const one = await open();
  return [one, await open([`ws://127.0.0.1:${one.address?.port}`])];
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((replica) => replica.close()));
});

test("what is changed on a document appears in that of another replica, with the counter of its transaction", async () => {
  const [one, two] = await pair();
  const theirs = two.collections.notes.get("n");
  one.transact(() => {
    one.collections.notes.get("n").getText("t").insert(0, "hello");
    one.collections.likes.increment("n");
  });
  await two.waitFor(one.version());
  expect(theirs.getText("t").toJSON()).toBe("hello");
  expect(two.collections.likes.value("n")).toBe(1);
  theirs.getArray("a").push([1, { deep: true }]);
  await one.waitFor(two.version());
  expect(one.collections.notes.json("n")).toEqual({ t: "hello", a: [1, { deep: true }] });
});

test("a document of which two snapshots were made at once, too large together, can be changed again", async () => {
  const [one, two] = [await open(), await open()];
  const noise = (seed: number): Uint8Array =>
    Uint8Array.from({ length: 6_000_000 }, (_, i) => Math.imul(i + seed, 2_654_435_761) >>> 13);
  for (const [seed, { collections }] of [one, two].entries()) {
    collections.notes.change("n", (doc) => doc.getMap("m").set("a", noise(seed)));
    // So many changes that it looks at the weight again.
    for (let i = 0; i < 40; i++)
      collections.notes.change("n", (doc) => doc.getArray("c").push([i]));
  }
  // Each puts a snapshot in the place of its changes now.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  two.addPeer(`ws://127.0.0.1:${one.address?.port}`);
  await one.waitFor(two.version());
  await two.waitFor(one.version());
  const three = await open([`ws://127.0.0.1:${one.address?.port}`]);
  await three.waitFor(one.version());
  const change = (): void => {
    three.collections.notes.change("n", (doc) => doc.getText("t").insert(0, "more"));
  };
  expect(change).toThrow(OverloadedError);
  await new Promise((resolve) => setImmediate(resolve));
  change();
  await one.waitFor(three.version());
  expect(one.collections.notes.get("n").getText("t").toJSON()).toBe("more");
  expect(three.collections.notes.encode("n").length).toBeLessThan(7_000_000);
});

test("as JSON it has nothing that JSON has not", async () => {
  const { notes } = (await open()).collections;
  notes.change("n", (doc) => {
    doc.getMap("m").set("bytes", new Uint8Array([1, 2, 3]));
    doc.getMap("m").set("small", 5n);
    doc.getArray("a").push([{ large: 2n ** 60n }]);
  });
  const content = { m: { bytes: "AQID", small: 5 }, a: [{ large: "1152921504606846976" }] };
  expect(notes.json("n")).toEqual(content);
  expect(JSON.parse(JSON.stringify(notes.json("n")))).toEqual(content);
});

test("a transaction that throws leaves the document as it was, in another object", async () => {
  const [one, two] = await pair();
  const { notes } = one.collections;
  notes.get("n").getText("t").insert(0, "kept");
  const before = notes.get("n");
  expect(() =>
    one.transact(() => {
      before.getText("t").insert(4, " and lost");
      throw new Error("undo");
    }),
  ).toThrow("undo");
  expect(notes.get("n")).not.toBe(before);
  expect(notes.get("n").getText("t").toJSON()).toBe("kept");
  notes.get("n").getText("t").insert(4, "!");
  await two.waitFor(one.version());
  expect(two.collections.notes.get("n").getText("t").toJSON()).toBe("kept!");
});

test("ten thousand changes cost a few hundred slots, and a reader finds all of them", async () => {
  const [one, two] = await pair();
  const text = one.collections.notes.get("n").getText("t");
  for (let i = 0; i < 10_000; i++) text.insert(i % 7 === 0 ? 0 : text.length, "x");
  one.version();
  await new Promise((resolve) => setTimeout(resolve, 50));
  await two.waitFor(one.version());
  expect(two.collections.notes.get("n").getText("t").length).toBe(10_000);
  const doc = new Y.Doc();
  Y.applyUpdate(doc, two.collections.notes.encode("n"));
  expect(doc.getText("t").length).toBe(10_000);
});

test("who watches is told of the key, once a batch, and of no slot", async () => {
  const [one, two] = await pair();
  const watcher = two.watch("notes");
  one.transact(() => {
    for (let i = 0; i < 5; i++) one.collections.notes.get("n").getText("t").insert(0, "x");
  });
  const { value: change } = (await watcher.next()) as IteratorYieldResult<Change>;
  expect({ ...change, version: "" }).toEqual({ key: "n", origin: "remote", version: "" });
});

describe("an update of very many parts, each of them tiny", () => {
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
  /** Two bytes each: something that was deleted, of the length of one. */
  const parts = (count: number, byte: number): Uint8Array =>
    Uint8Array.from({ length: 2 * count }, (_, at) => (at % 2 === 0 ? byte : 1));
  const structs = (count: number): Uint8Array =>
    Buffer.concat([
      Uint8Array.from([1, ...varint(count), 1, 0]),
      parts(count, 0),
      Uint8Array.of(0),
    ]);
  const deletions = (count: number): Uint8Array =>
    Buffer.concat([Uint8Array.from([0, 1, 1, ...varint(count)]), parts(count, 0)]);

  test.each([
    ["structs", structs],
    ["deletions", deletions],
  ])("is refused before all are read: %s", (_, update) => {
    const { engine } = schema.notes;
    expect(engine.isUpdate(update(1_000_000))).toBe(true);
    expect(engine.isUpdate(update(1_000_001))).toBe(false);
    expect(engine.fits(update(1_000_001))).toBe(false);
    const document = engine.open({ changed: () => undefined, observerFailed: () => undefined });
    expect(() => document.apply([update(1_000_001)], undefined)).toThrow("parts");
  });
});

test("who follows a document is not told that it was removed by a transaction that is undone", async () => {
  const [one] = await pair();
  const { notes } = one.collections;
  notes.get("n").getText("t").insert(0, "kept");
  one.version();
  const told: string[] = [];
  notes.follow("n", { changed: () => undefined, replaced: (why) => void told.push(why) });
  const undone = (): void =>
    one.transact(() => {
      notes.delete("n");
      expect(notes.get("n").getText("t").length).toBe(0);
      throw new Error("undo");
    });
  expect(undone).toThrow("undo");
  expect(told).toEqual(["undone"]);
  expect(notes.get("n").getText("t").toJSON()).toBe("kept");
  one.transact(() => notes.delete("n"));
  expect(told).toEqual(["undone", "removed"]);
});
