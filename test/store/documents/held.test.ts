/** Documents in memory: what they show, whom they tell, when they are replaced, and what no peer can do to them. */
import { deepStrictEqual } from "node:assert/strict";
import { expect, test } from "vitest";
import * as Y from "yjs";
import {
  ClosedError,
  InvalidValueError,
  OverloadedError,
  UsageError,
} from "../../../src/errors.ts";
import { Random, type World } from "../../simulation/virtual-environment.ts";
import { assertWhole } from "../dump.ts";
import { type Home, homes, updateOf } from "./home.ts";

const pair = (seed?: number): [Home, Home] => homes(2, seed).all as [Home, Home];

test("what is typed at a place stands there, whatever came from others before", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new Random(seed);
    const all = homes(3, seed).all;
    for (let step = 0; step < 120; step++) {
      const home = random.pick(all);
      if (random.chance(0.3)) {
        const from = random.pick(all);
        if (from !== home) home.join(from);
        continue;
      }
      const before = home.text();
      const at = random.below(before.length + 1);
      const length = random.chance(0.7) ? 0 : Math.min(random.below(5), before.length - at);
      const more = length > 0 ? "" : `<${step}>`;
      home.doc().getText("t").delete(at, length);
      home.doc().getText("t").insert(at, more);
      deepStrictEqual(home.text(), `${before.slice(0, at)}${more}${before.slice(at + length)}`);
    }
    for (const home of all) for (const from of all) if (from !== home) home.join(from);
    for (const home of all) for (const from of all) if (from !== home) home.join(from);
    expect(new Set(all.map((home) => home.text())).size).toBe(1);
  }
});

test("a change of another replica is no local one to who observes a type", () => {
  const [one, two] = pair();
  const locals: boolean[] = [];
  two
    .doc()
    .getText("t")
    .observe((_event, { local }) => locals.push(local));
  one.doc().getText("t").insert(0, "a");
  two.join(one);
  two.doc().getText("t").insert(0, "b");
  expect(locals).toEqual([false, true]);
});

test("reading and joining write nothing, formatted text included", () => {
  const [one, two] = pair();
  two.doc();
  const text = one.doc().getText("t");
  text.insert(0, "bold and not");
  two.join(one);
  // Yjs would tidy up after both.
  for (const home of [one, two]) home.doc().getText("t").format(0, 4, { bold: true });
  for (const { keyspace } of [one, two]) keyspace.flush();
  const before = [one, two].map(({ keyspace }) => keyspace.held.at(keyspace.me));
  one.join(two);
  two.join(one);
  for (const { keyspace } of [one, two]) keyspace.flush();
  expect([one, two].map(({ keyspace }) => keyspace.held.at(keyspace.me))).toEqual(before);
  expect(two.doc().getText("t").toDelta()).toEqual(one.doc().getText("t").toDelta());
});

test("whoever observes a document that nobody has opened is told of what others change", () => {
  const [one, two] = pair();
  const seen: string[] = [];
  two.notes.observe("n", (doc, origin) => seen.push(`${origin}: ${doc.getText("t").toJSON()}`));
  one.doc().getText("t").insert(0, "a");
  two.join(one);
  two.doc().getText("t").insert(1, "b");
  two.keyspace.flush();
  expect(seen).toEqual(["remote: a", "local: ab"]);
});

test("a transaction takes back documents in two collections and a counter, nested ones too", () => {
  const [one, two] = pair();
  one.doc().getText("t").insert(0, "kept");
  one.collections.drafts.get("n").getText("t").insert(0, "kept");
  const all = (): void => {
    one.doc().getText("t").insert(0, "lost");
    one.collections.drafts.get("n").getText("t").insert(0, "lost");
    one.collections.likes.increment("n");
  };
  const undo = (): never => {
    throw new Error("undo");
  };
  const inner = (): void => {
    try {
      one.keyspace.transact(() => {
        all();
        undo();
      });
    } catch {
      // The outer one is undone all the same.
    }
  };
  for (const writes of [() => (all(), undo()), () => (all(), inner()), () => (inner(), all())]) {
    expect(() => one.keyspace.transact(writes)).toThrow("undo");
    expect(one.text()).toBe("kept");
    expect(one.collections.drafts.get("n").getText("t").toJSON()).toBe("kept");
    expect(one.collections.likes.value("n")).toBe(0);
    assertWhole(one.keyspace);
  }
  one.keyspace.transact(all);
  two.join(one);
  expect(two.text()).toBe("lostkept");
  expect(two.collections.drafts.get("n").getText("t").toJSON()).toBe("lostkept");
  expect(two.collections.likes.value("n")).toBe(1);
});

test("a transaction beyond its bound leaves its documents as they were", () => {
  const [one, two] = pair();
  one.doc().getText("t").insert(0, "kept");
  const large = "x".repeat(5 * 1024 * 1024);
  expect(() =>
    one.keyspace.transact(() => {
      for (const key of ["n", "a", "b", "c"]) one.doc(key).getText("t").insert(0, large);
    }),
  ).toThrow(OverloadedError);
  two.join(one);
  for (const home of [one, two]) {
    expect(["n", "a", "b", "c"].map((key) => home.text(key))).toEqual(["kept", "", "", ""]);
  }
  one.doc().getText("t").insert(4, "!");
  expect(one.text()).toBe("kept!");
});

test("an object that was replaced says so to who changes it, before and after the replica is closed", () => {
  const [one] = pair();
  const stale = one.doc();
  stale.getText("t").insert(0, "a");
  one.notes.delete("n");
  expect(() => stale.getText("t").insert(0, "b")).toThrow(UsageError);
  expect(one.notes.has("n")).toBe(false);
  const last = one.doc();
  last.getText("t").insert(0, "c");
  last.on("destroy", () => {
    throw new Error("on destroy");
  });
  one.keyspace.close();
  expect(one.told).toEqual(["who observes a document threw: Error: on destroy"]);
  expect(() => last.getText("t").insert(0, "d")).toThrow(UsageError);
  expect(() => one.doc()).toThrow(ClosedError);
});

test("an observer that throws harms nobody else: what came is there, what was changed here is kept", () => {
  const [one, two] = pair();
  two
    .doc("a")
    .getText("t")
    .observe((_event, { local }) => {
      throw new Error(local ? "local" : "remote");
    });
  two.doc("b");
  one.doc("a").getText("t").insert(0, "a");
  one.doc("b").getText("t").insert(0, "b");
  two.join(one);
  expect([two.text("a"), two.text("b")]).toEqual(["a", "b"]);
  expect(two.told).toEqual(["who observes a document threw: Error: remote"]);
  expect(() => two.doc("a").getText("t").insert(1, "!")).toThrow("local");
  one.join(two);
  expect(one.text("a")).toBe("a!");
});

test("an observer may write to counters, to its document and to others while it is told", () => {
  const [one, two] = pair();
  two.doc("b").getText("t").insert(0, "-");
  two
    .doc("a")
    .getText("t")
    .observe((_event, { local }) => {
      if (local) return;
      two.collections.likes.increment("a");
      two.doc("b").getText("t").insert(0, "seen");
      two.doc("a").getText("t").insert(0, "also ");
    });
  one.doc("a").getText("t").insert(0, "a");
  one.doc("b").getText("t").insert(0, "b");
  two.join(one);
  one.join(two);
  for (const home of [one, two]) {
    expect(home.text("a")).toBe("also a");
    expect(["b-seen", "bseen-", "seen-b", "seenb-"]).toContain(home.text("b"));
    expect(home.collections.likes.value("a")).toBe(1);
  }
});

test("what others put into slots that is no update is passed over, and the next change sweeps it away", () => {
  const { world, all } = homes(2);
  const [one, two] = all as [Home, Home];
  one.doc().getText("t").insert(0, "kept");
  two.join(one);
  for (const [slot, value] of [
    ["0.9", "rubbish"],
    ["0.10", 7],
    ["x", Buffer.from([255, 255, 255, 255]).toString("base64")],
    ["1.1/0/2", Buffer.from(updateOf("half")).toString("base64")],
    ["1.2/0/1000000000", "AAAA"],
    ["1.3/0/-1", "AAAA"],
    ["1.4/0/NaN", "AAAA"],
    ["s/0/0", "AAAA"],
    ["0.1", Buffer.from(updateOf("two", 77)).toString("base64")],
  ] as const) {
    two.forge(slot, value);
    two.forge(slot, value, { writer: one.keyspace.actor });
  }
  one.join(two);
  expect(["kepttwo", "twokept"]).toContain(one.text());
  expect(one.told.length).toBe(1);
  for (let i = 0; i < 200; i++) one.doc().getText("t").insert(0, "x");
  world.run({ forMs: 10 });
  two.join(one);
  expect(two.text()).toBe(one.text());
  expect(two.text().length).toBe(207);
  expect(homesAgree(one, two)).toBe(true);
});

/** Whether whoever reads the slots anew has what those show who have it in memory. */
function homesAgree(...all: readonly Home[]): boolean {
  const { all: fresh } = homes(1, 99);
  const [reader] = fresh as [Home];
  for (const home of all) reader.join(home);
  expect(reader.told).toEqual([]);
  return all.every((home) => home.text() === reader.text());
}

test("an update that cannot be taken in is refused, and nothing of it is written", () => {
  const [one] = pair();
  one.doc().getText("t").insert(0, "kept");
  one.keyspace.flush();
  const before = one.keyspace.held.at(one.keyspace.me);
  let refused = 0;
  underMutations((update) => {
    try {
      one.notes.apply("n", update);
    } catch (error) {
      if (!(error instanceof InvalidValueError)) throw error;
      refused++;
      one.keyspace.flush();
    }
    expect(one.text()).toContain("kept");
  });
  expect(refused).toBeGreaterThan(30);
  expect(one.keyspace.held.at(one.keyspace.me)).toBeGreaterThanOrEqual(before);
});

/** Updates that were valid before some of their bytes were changed. */
function underMutations(each: (update: Uint8Array) => void): void {
  const random = new Random(5);
  for (let seed = 0; seed < 300; seed++) {
    const update = mutated(random);
    each(update);
  }
}

function mutated(random: Random): Uint8Array {
  const doc = new Y.Doc();
  doc.clientID = 1_000 + random.below(3);
  doc.getText("t").insert(0, "abc");
  doc.getMap("m").set("k", new Y.Array());
  doc.getArray("a").push([1, "two", { three: 3 }]);
  doc.getText("t").format(0, 2, { bold: true });
  doc.getText("t").delete(1, 1);
  const update = Uint8Array.from(Y.encodeStateAsUpdate(doc));
  for (let i = random.below(3); i >= 0; i--) {
    update[random.below(update.length)] = random.chance(0.5) ? random.below(256) : random.below(12);
  }
  return update;
}

test("updates that were tampered with never end a replica, and what others wrote stays", () => {
  const random = new Random(9);
  for (let round = 0; round < 15; round++) {
    const { all } = homes(2, round);
    const [one, two] = all as [Home, Home];
    one.doc().getText("kept").insert(0, "kept");
    two.join(one);
    for (let i = 0; i < 8; i++)
      two.forge(`0.${20 + i}`, Buffer.from(mutated(random)).toString("base64"));
    one.join(two);
    one.doc().getText("kept").insert(4, "!");
    two.join(one);
    const { all: fresh } = homes(1, 999);
    const [reader] = fresh as [Home];
    reader.join(one);
    for (const home of [one, two, reader])
      expect(home.doc().getText("kept").toJSON()).toBe("kept!");
  }
});

test("what only a deletion tells apart is told apart when slots are removed", () => {
  const { all } = homes(3);
  const [one, two, three] = all as [Home, Home, Home];
  one.doc().getText("t").insert(0, "text");
  for (const home of [two, three]) home.join(one);
  // Two has seen a deletion, and removes all that it sees; three rewrites what it saw without it.
  one.doc().getText("t").delete(0, 4);
  two.join(one);
  two.notes.delete("n");
  const snapshot = Buffer.from(three.notes.encode("n")).toString("base64");
  const root = three.keyspace.nodes.root("notes")?.keys.get("n");
  if (root === undefined) throw new Error("assertion: no document");
  three.keyspace.clearAll(root);
  three.forge("s", snapshot);
  one.join(three);
  one.join(two);
  expect(one.text()).toBe("text");
});

test("a document that several made too large together is made small when it next refuses a change", () => {
  const { world, all } = homes(2);
  const [one, two] = all as [Home, Home];
  for (const home of [one, two]) {
    const text = home.doc().getText("t");
    text.insert(0, "x".repeat(6 * 1024 * 1024));
    text.delete(0, text.length);
  }
  one.join(two);
  expect(() => one.doc().getText("t").insert(0, "refused")).toThrow(OverloadedError);
  expect(one.text()).toBe("");
  world.run({ forMs: 10 });
  one.doc().getText("t").insert(0, "taken");
  two.join(one);
  expect(two.text()).toBe("taken");
});

/** Full, most of it as one snapshot. */
function fill({ world, home }: { readonly world: World; readonly home: Home }): void {
  for (let i = 0; i < 38; i++) home.notes.apply("n", updateOf("x".repeat(256 * 1024)));
  world.run({ forMs: 10 });
}

/** Full, and most of it deleted, which itself weighs little. */
function emptied({ world, home }: { readonly world: World; readonly home: Home }): void {
  fill({ world, home });
  const text = home.doc().getText("t");
  text.delete(0, text.length - 1);
}

const megabyte = "y".repeat(1024 * 1024);

test("a full document of which most was deleted takes what a client brings, at once", () => {
  const { world, all } = homes(2);
  const [one, two] = all as [Home, Home];
  emptied({ world, home: one });
  one.notes.apply("n", updateOf(megabyte));
  expect(one.text().length).toBe(1 + megabyte.length);
  two.join(one);
  expect(two.text()).toBe(one.text());
});

test("a full document of which most was deleted refuses one change made on it, and takes the next", () => {
  const { world, all } = homes(1);
  const [home] = all as [Home];
  emptied({ world, home });
  expect(() => home.doc().getText("t").insert(0, megabyte)).toThrow(OverloadedError);
  world.run({ forMs: 10 });
  home.doc().getText("t").insert(0, megabyte);
  expect(home.text()).toBe(`${megabyte}x`);
});

test("a full document of which nothing was deleted is not written again for each change that it refuses", () => {
  const { world, all } = homes(1);
  const [home] = all as [Home];
  fill({ world, home });
  const before = home.keyspace.held.at(home.keyspace.me);
  for (let i = 0; i < 3; i++) {
    expect(() => home.notes.apply("n", updateOf(megabyte))).toThrow(OverloadedError);
    world.run({ forMs: 10 });
  }
  expect(home.keyspace.held.at(home.keyspace.me)).toBe(before);
});

test("a document of more than a transaction can replace stays as it is, and ends nobody", () => {
  const { world, all } = homes(3);
  const [one, ...others] = all as [Home, Home, Home];
  for (const home of all)
    home
      .doc()
      .getText("t")
      .insert(0, "x".repeat(6 * 1024 * 1024));
  for (const other of others) one.join(other);
  expect(() => one.doc().getText("t").insert(0, "refused")).toThrow(OverloadedError);
  world.run({ forMs: 10 });
  expect(one.text().length).toBe(18 * 1024 * 1024);
  one.notes.delete("n");
  one.doc().getText("t").insert(0, "anew");
  expect(one.text()).toBe("anew");
});
