/** Yjs documents as values of a replica: captured, replicated, undone, kept small, let go. */
import { afterEach, describe, expect, test } from "vitest";
import * as Y from "yjs";
import { yDoc } from "../../src/bridge/yjs.ts";
import { type Change, counter, openReplica, type Replica } from "../../src/index.ts";

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
