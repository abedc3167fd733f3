/** Automerge documents as values of a replica: captured, replicated, undone, kept small, defended. */
import { createHash } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import * as Automerge from "@automerge/automerge";
import { afterEach, describe, expect, test, vi } from "vitest";
import { automergeDoc } from "../../src/bridge/automerge.ts";
import { counter, openReplica, type Replica } from "../../src/index.ts";

interface Note {
  text: string;
  likes: Automerge.Counter;
  tags: string[];
  more: Record<string, unknown>;
}

const schema = { notes: automergeDoc<Partial<Note>>(), likes: counter() };
const opened: Replica<typeof schema>[] = [];
vi.setConfig({ testTimeout: 60_000 });

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

test("what is changed appears on another replica, with the counter of its transaction", async () => {
  const [one, two] = await pair();
  const told: string[] = [];
  two.collections.notes.observe("n", (_, origin) => told.push(origin));
  const result = one.transact(() => {
    one.collections.likes.increment("n");
    return one.collections.notes.change("n", (note) => {
      note.text = "hello";
      note.tags = ["a"];
      return 7;
    });
  });
  await two.waitFor(one.version());
  expect(result).toBe(7);
  expect(two.collections.notes.get("n")).toEqual({ text: "hello", tags: ["a"] });
  expect(two.collections.likes.value("n")).toBe(1);
  expect(told).toEqual(["remote"]);
});

test("text and counters that two change at once merge", async () => {
  const [one, two] = await pair();
  one.collections.notes.change("n", (note) => {
    note.text = "middle";
    note.likes = new Automerge.Counter(1);
  });
  await two.waitFor(one.version());
  one.collections.notes.change("n", (note) => {
    Automerge.splice(note, ["text"], 0, 0, "<");
    note.likes?.increment(5);
  });
  two.collections.notes.change("n", (note) => {
    Automerge.splice(note, ["text"], 6, 0, ">");
    note.likes?.increment(7);
  });
  await two.waitFor(one.version());
  await one.waitFor(two.version());
  for (const { collections } of [one, two])
    expect(collections.notes.json("n")).toEqual({ text: "<middle>", likes: 13 });
});

test("a change that throws changes nothing, and a transaction that throws undoes the counter too", async () => {
  const [one, two] = await pair();
  const { notes, likes } = one.collections;
  notes.change("n", (note) => void (note.text = "kept"));
  const before = notes.get("n");
  const spoil = (note: Partial<Note>): never => {
    note.text = "lost";
    throw new Error("undo");
  };
  expect(() => notes.change("n", spoil)).toThrow("undo");
  expect(notes.get("n")).toBe(before);
  expect(() =>
    one.transact(() => {
      likes.increment("n");
      notes.change("n", (note) => void (note.text = "lost"));
      throw new Error("undo");
    }),
  ).toThrow("undo");
  expect(notes.get("n")).toEqual({ text: "kept" });
  expect(likes.value("n")).toBe(0);
  notes.change("n", (note) => Automerge.splice(note, ["text"], 4, 0, "!"));
  await two.waitFor(one.version());
  expect(two.collections.notes.get("n")).toEqual({ text: "kept!" });
});

test("what is handed out cannot be changed in place, and what Automerge.change makes of it is taken in", async () => {
  const [one, two] = await pair();
  const { notes } = one.collections;
  notes.change("n", (note) => void (note.tags = ["a"]));
  const note = notes.get("n");
  expect(() => Object.assign(note, { text: "mine" })).toThrow(TypeError);
  expect(() => note.tags?.push("b")).toThrow(TypeError);
  const bytes = Uint8Array.of(1, 2);
  notes.change("bytes", (draft) => void (draft.more = { bytes: "none", list: [1] }));
  notes.get("bytes");
  notes.change("bytes", (draft) => Object.assign(draft.more ?? {}, { bytes }));
  expect(notes.get("bytes")).toEqual({ more: { bytes, list: [1] } });
  expect(Object.isFrozen(notes.get("bytes").more?.["list"])).toBe(true);
  const next = Automerge.change(note, (draft) => void draft.tags?.push("c"));
  expect(notes.get("n")).toBe(next);
  // To no effect, and with a callback of one's own: neither is told to us, and the next use finds it.
  const spliced = Automerge.change(next, (draft) => Automerge.splice(draft, ["tags"], 0, 0, ""));
  Automerge.change(
    spliced,
    { patchCallback: () => undefined },
    (draft) => void draft.tags?.push("d"),
  );
  notes.change("n", (draft) => void draft.tags?.push("e"));
  await two.waitFor(one.version());
  for (const { collections } of [one, two])
    expect(collections.notes.json("n")).toEqual({ tags: ["a", "c", "d", "e"] });
  expect(() => Automerge.change(note, (draft) => void draft.tags?.push("f"))).toThrow("outdated");
});

test("saves, parts of saves and changes are taken in, in any order", async () => {
  const [one, two] = await pair();
  let doc = Automerge.from<Partial<Note>>({ text: "a" });
  const whole = Automerge.save(doc);
  const parts: Uint8Array[] = [];
  for (const letter of "bcd") {
    const heads = Automerge.getHeads(doc);
    doc = Automerge.change(doc, (note) => Automerge.splice(note, ["text"], 0, 0, letter));
    parts.push(Automerge.saveSince(doc, heads));
  }
  const { notes } = one.collections;
  for (const part of parts.toReversed()) notes.apply("n", part);
  expect(notes.get("n")).toEqual({});
  await two.waitFor(one.version());
  // What waits there for others waits on other replicas as well, whoever brings the rest.
  two.collections.notes.apply("n", whole);
  await one.waitFor(two.version());
  for (const { collections } of [one, two]) {
    expect(collections.notes.get("n")).toEqual({ text: "dcba" });
    expect(Automerge.load(collections.notes.encode("n"))).toEqual({ text: "dcba" });
  }
  const before = one.version();
  notes.apply("n", whole);
  notes.apply("n", Automerge.save(doc));
  expect(one.version()).toEqual(before);
});

test("JSON has counters as numbers, dates as ISO 8601, bytes as base64, and great integers as text", async () => {
  const one = await open();
  one.collections.notes.change("n", (note) => {
    note.likes = new Automerge.Counter(3);
    note.more = {
      bytes: new Uint8Array([1, 2, 3]),
      date: new Date(0),
      great: 2n ** 60n,
      fixed: new Automerge.ImmutableString("fixed"),
      list: [null, 1.5, true],
    };
  });
  expect(one.collections.notes.json("n")).toEqual({
    likes: 3,
    more: {
      bytes: "AQID",
      date: "1970-01-01T00:00:00.000Z",
      great: "1152921504606846976",
      fixed: "fixed",
      list: [null, 1.5, true],
    },
  });
});

test("ten thousand changes cost a few hundred slots, and a reader finds all of them", async () => {
  const [one, two] = await pair();
  const { notes } = one.collections;
  notes.change("n", (note) => void (note.text = ""));
  for (let i = 0; i < 10_000; i++)
    notes.change("n", (note) => Automerge.splice(note, ["text"], i % 7 === 0 ? 0 : i, 0, "x"));
  // What is heavy is made light after the turn.
  await new Promise((resolve) => setImmediate(resolve));
  await two.waitFor(one.version());
  expect(two.collections.notes.get("n").text).toHaveLength(10_000);
  // A change is 100 bytes and more, and a slot of the arrays some 100, its text on top.
  expect(one.status().bytes).toBeLessThan(200_000);
  expect(one.collections.notes.encode("n").length).toBeLessThan(2_000);
});

test("what a peer wrote that is no update is passed over and said, and the rest is taken in", async () => {
  const one = await openReplica({ schema, listen: { port: 0 } });
  const warned: string[] = [];
  one.on("warning", ({ message }) => warned.push(message));
  opened.push(one);
  // Another program, which writes what it likes.
  const { engine } = schema.notes;
  const careless = {
    ...schema.notes,
    engine: { ...engine, isUpdate: () => true, fits: () => true },
  };
  const two = await openReplica({
    schema: { ...schema, notes: { ...careless, engine: { ...careless.engine, open: rubbish } } },
    peers: [`ws://127.0.0.1:${one.address?.port}`],
  });
  opened.push(two);
  one.collections.notes.change("n", (note) => void (note.text = "kept"));
  await two.waitFor(one.version());
  two.collections.notes.apply("n", Uint8Array.from([1, 2, 3]));
  await one.waitFor(two.version());
  one.collections.notes.change("n", (note) => Automerge.splice(note, ["text"], 4, 0, "!"));
  expect(one.collections.notes.json("n")).toEqual({ text: "kept!" });
  const three = await open([`ws://127.0.0.1:${one.address?.port}`]);
  await three.waitFor(one.version());
  expect(three.collections.notes.json("n")).toEqual({ text: "kept!" });
  expect(warned).toEqual([expect.stringContaining('1 updates of the document "n" cannot be read')]);
});

/** Takes whatever it is given for a change. */
const rubbish: typeof schema.notes.engine.open = (listener) => {
  const whole = schema.notes.engine.open({
    changed: () => undefined,
    observerFailed: () => undefined,
  });
  return Object.assign(whole, {
    apply: (updates: readonly Uint8Array[], origin: unknown) => {
      for (const update of updates) listener.changed(update, origin);
    },
  });
};

describe("hostile bytes", () => {
  const seal = (chunk: Uint8Array): Uint8Array => {
    const sealed = Uint8Array.from(chunk);
    sealed.set(createHash("sha256").update(sealed.subarray(8)).digest().subarray(0, 4), 4);
    return sealed;
  };
  const random =
    (seed: number) =>
    (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return (seed >> 8) % below;
    };

  test("are refused, and neither the document nor another one is harmed", async () => {
    const one = await open();
    const { notes } = one.collections;
    const { engine } = schema.notes;
    notes.change("n", (note) => {
      note.text = "hello";
      note.more = { a: { b: 1 } };
      note.likes = new Automerge.Counter(1);
    });
    let doc = Automerge.load<Partial<Note>>(notes.encode("n"));
    const heads = Automerge.getHeads(doc);
    doc = Automerge.change(doc, (note) => {
      note.likes?.increment(2);
      Automerge.splice(note, ["text"], 1, 1, "xyz");
      note.more = { c: [1, 2] };
    });
    const updates = [Automerge.saveSince(doc, heads), Automerge.save(doc)];
    const next = random(8);
    let refused = 0;
    for (let i = 0; i < 1_500; i++) {
      const bytes = Uint8Array.from(updates[i % 2] as Uint8Array);
      for (let k = 0; k <= next(3); k++) bytes[9 + next(bytes.length - 9)] = next(256);
      try {
        // A key of its own: what is well formed is taken in, whatever it says.
        notes.apply(`x${i}`, notes.encode("n"));
        notes.apply(`x${i}`, seal(bytes));
      } catch {
        refused++;
      }
      notes.json(`x${i}`);
      notes.delete(`x${i}`);
    }
    expect(refused).toBeGreaterThan(1_000);
    for (const bytes of [
      [],
      [1, 2, 3],
      [0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ])
      expect(engine.isUpdate(Uint8Array.from(bytes))).toBe(false);
    for (const bytes of updates) {
      expect(engine.isUpdate(bytes)).toBe(true);
      for (let cut = 0; cut < bytes.length; cut++)
        expect(engine.isUpdate(bytes.slice(0, cut))).toBe(false);
      const spoiled = Uint8Array.from(bytes);
      spoiled[bytes.length - 1] = (spoiled[bytes.length - 1] ?? 0) ^ 1;
      expect(engine.isUpdate(spoiled)).toBe(false);
      expect(engine.isUpdate(Buffer.concat([bytes, spoiled]))).toBe(false);
      expect(engine.isUpdate(Buffer.concat([bytes, bytes]))).toBe(true);
      expect(() => notes.apply("n", spoiled)).toThrow("no update");
    }
    expect(notes.json("n")).toEqual({ text: "hello", more: { a: { b: 1 } }, likes: 1 });
    notes.apply("n", Automerge.save(doc));
    expect(notes.json("n")).toEqual({ text: "hxyzllo", more: { c: [1, 2] }, likes: 3 });
  });

  describe("that are a thousand times as much when inflated", () => {
    const bytes = 32 * 1024 * 1024;
    let doc = Automerge.init<{ blob?: Uint8Array }>();
    doc = Automerge.change(doc, (draft) => void (draft.blob = new Uint8Array(bytes)));
    const [change = new Uint8Array()] = Automerge.getAllChanges(doc);
    const { hash } = Automerge.decodeChange(change);
    /** Its header has a length of four bytes. */
    const body = deflateRawSync(change.subarray(13));
    const size = [
      (body.length & 0x7f) | 0x80,
      ((body.length >> 7) & 0x7f) | 0x80,
      body.length >> 14,
    ];
    const deflated = Buffer.concat([change.subarray(0, 8), Uint8Array.from([2, ...size]), body]);

    test.each([
      ["a change", deflated],
      ["a document", Automerge.save(doc)],
      ["a bundle", Automerge.saveBundle(doc, [hash])],
      ["two changes", Buffer.concat([Automerge.save(Automerge.from({})), deflated])],
    ])("are refused before they are: %s", (_, bomb) => {
      expect(Automerge.load<{ blob: Uint8Array }>(bomb).blob.length).toBe(bytes);
      expect(bomb.length).toBeLessThan(40_000);
      expect(schema.notes.engine.isUpdate(bomb)).toBe(false);
      expect(schema.notes.engine.isUpdate(bomb.subarray(0, -1))).toBe(false);
    });

    /** As many operations, which all put nothing at "a". */
    const runs = (operations: number): Uint8Array => {
      const unsigned = (value: number): number[] =>
        value < 128 ? [value] : [(value & 127) | 128, ...unsigned(value >>> 7)];
      const run = [...unsigned(operations), 0];
      run[run.length - 2] = (run[run.length - 2] ?? 0) | 128;
      const columns: [number, number[]][] = [
        [0x15, [...run, 1, 0x61]],
        [0x34, unsigned(operations)],
        [0x42, [...run, 1]],
        [0x56, [...run, 0]],
        [0x70, [...run, 0]],
      ];
      const content = [
        ...[0, 1, 7, 1, 1, 0, 0, 0, columns.length],
        ...columns.flatMap(([specification, data]) => [specification, data.length]),
        ...columns.flatMap(([, data]) => data),
      ];
      return seal(
        Uint8Array.from([0x85, 0x6f, 0x4a, 0x83, 0, 0, 0, 0, 1, content.length, ...content]),
      );
    };

    test("are refused where runs of operations are that", () => {
      const { engine } = schema.notes;
      expect(runs(1e9).length).toBeLessThan(70);
      expect(engine.isUpdate(runs(1_000))).toBe(true);
      expect(engine.isUpdate(runs(200_000))).toBe(true);
      expect(engine.isUpdate(runs(300_000))).toBe(false);
      expect(engine.isUpdate(runs(1e9))).toBe(false);
      expect(engine.isUpdate(Buffer.concat([runs(200_000), runs(200_001)]))).toBe(false);
    });

    test("are not written here either: what is changed can be read elsewhere, and more is refused", async () => {
      const [one, two] = await pair();
      const { notes } = one.collections;
      const more = async (name: string): Promise<void> => {
        const write = (): void =>
          notes.change("n", (note) => void Object.assign(note, { [name]: new Uint8Array(9e6) }));
        try {
          write();
        } catch {
          // It is made smaller after the turn, if it can be.
          await new Promise((resolve) => setTimeout(resolve, 0));
          write();
        }
        await two.waitFor(one.version());
      };
      await more("a");
      await more("b");
      await expect(more("c")).rejects.toThrow("would weigh more");
      notes.change("n", (note) => void (note.text = "after"));
      await two.waitFor(one.version());
      for (const { collections } of [one, two])
        expect(Object.keys(collections.notes.get("n"))).toEqual(["a", "b", "text"]);
      expect(schema.notes.engine.isUpdate(notes.encode("n"))).toBe(true);
    });
  });

  test("that Automerge takes in, and saves so that it cannot load them, leave a document that can be read again", async () => {
    const one = await open();
    const { notes } = one.collections;
    const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));
    notes.apply(
      "n",
      bytes(
        "hW9Kg5BAObkAlgEBAaoB5daVMq+6ow3LSA4povlyvwaOsTYJ2e0VzZY9XvlIXdkGAQIDAhMCIwJAAlYCDAEEAgYRBhMJFQchAiMHNAJCBVYG" +
          "VwaAAQJ/AH8Bfwh/AH8AfwcAAgYAAAIFAX8HAAMEAAABAAJ+AAIDAX97fgFsAXQABggAfgd6BQF/AgIGfgIEBgECAAUWfxRoZWxsbwEIAAA=",
      ),
    );
    notes.apply(
      "n",
      bytes(
        "hW9Kg7jzVgsBXAHl1pUyr7qjDctIDimi+XK/Bo6xNgnZ7RXNlj1e+Uhd2QG7AQkAAAEBqgkBAgIDEQQTAzQCQgJWBFcJcAICAb4BBwABfwF+" +
          "AAgAAgIBfhaFAXgAAAAAAAAAAAIA",
      ),
    );
    const content = { l: ["x", 1, 0], t: "hello" };
    expect(notes.json("n")).toEqual(content);
    expect(() => Automerge.load(Automerge.save(notes.get("n")))).toThrow("mismatching heads");
    notes.apply("again", notes.encode("n"));
    expect(notes.json("again")).toEqual(content);
  });
});
