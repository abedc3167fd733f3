/** Documents in exports: moved without their libraries, and compared by content with them. */
import * as Automerge from "@automerge/automerge";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import * as Y from "yjs";
import { automergeDoc } from "../../src/bridge/automerge.ts";
import { yDoc } from "../../src/bridge/yjs.ts";
import { ExportFileError } from "../../src/cli/backup/export-file-error.ts";
import { counter, openReplica, type Replica } from "../../src/index.ts";
import { exported, imported, urlOf } from "./backup-shop.ts";
import { assertBuilt, lacks, Run } from "./command.ts";

interface Draft {
  bytes?: Uint8Array;
  title?: string;
  likes?: Automerge.Counter;
}

const schema = { notes: yDoc(), drafts: automergeDoc<Draft>(), likes: counter() };
type Desk = Replica<typeof schema>;

let folder = "";
beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-documents-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const place = (name: string): string => join(folder, name);
const openDesk = (storage?: string, peers: readonly string[] = []): Promise<Desk> =>
  openReplica({ schema, listen: { port: 0 }, peers, ...(storage !== undefined && { storage }) });

/** What is in the documents, as their libraries read it. */
const contentOf = ({ collections: { notes, drafts, likes } }: Desk): unknown => ({
  notes: notes.keys().map((key) => [key, spelled(notes.json(key))]),
  drafts: drafts.keys().map((key) => [key, drafts.json(key)]),
  likes: likes.keys().map((key) => [key, likes.value(key)]),
});

/** Comparing bytes one by one takes seconds. */
const spelled = (value: unknown): string =>
  JSON.stringify(value, (_, held: unknown) =>
    held instanceof Uint8Array ? Buffer.from(held).toString("base64") : held,
  );

function edit({ collections: { notes, drafts, likes } }: Desk, by: string): void {
  for (let i = 0; i < 200; i++) {
    notes.change("plan", (doc) => doc.getText("t").insert(0, `${by} ${i}, `));
    notes.change(`list ${i % 7}`, (doc) => doc.getArray("a").push([`${by} ${i}`]));
  }
  for (let i = 0; i < 150; i++) {
    drafts.change("d", (draft) => {
      draft.title = `${by} ${i}`;
      draft.likes ??= new Automerge.Counter();
      draft.likes.increment(1);
    });
  }
  likes.increment("a");
}

/** Bytes that do not become fewer when they are zipped, so that they are cut wherever they go. */
const noise = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Math.imul(i + 1, 2_654_435_761) >>> 13);

async function reopened(directory: string): Promise<unknown> {
  await using desk = await openDesk(directory);
  return contentOf(desk);
}

describe("an export of documents", () => {
  test("that two replicas edit at once has all that is visible at that moment", async () => {
    await using one = await openDesk(place("one"));
    await using other = await openDesk(undefined, [urlOf(one)]);
    edit(one, "one");
    edit(other, "other");
    await other.waitFor(one.version());
    await one.waitFor(other.version());
    const before = contentOf(one);
    const { notExported, keys } = await exported(urlOf(one), place("file.gz"));
    expect([notExported, keys]).toEqual([[], 10]);
    await imported(place("file.gz"), place("to"));
    expect(await reopened(place("to"))).toEqual(before);
    await using live = await openDesk();
    await imported(place("file.gz"), undefined, { join: [urlOf(live)] });
    expect(contentOf(live)).toEqual(before);
    // What was imported is written on as any other document is.
    edit(live, "live");
    expect(live.collections.notes.get("plan").getText("t").toJSON()).toContain("live 199");
  });

  test("is made and imported where the libraries are not installed", async () => {
    {
      await using desk = await openDesk(place("from"));
      edit(desk, "one");
    }
    const lacking = {
      NODE_OPTIONS: ["yjs", "@automerge/automerge"]
        .map((name) => `--import=${lacks(name)}`)
        .join(" "),
    };
    await using exporting = new Run(["export", place("from"), "--out", place("file")], lacking);
    const { status, output } = await exporting.outcome;
    expect([status, output]).toEqual([0, expect.stringContaining("documents, as their updates")]);
    await using importing = new Run(["import", place("file"), place("to")], lacking);
    expect(await importing.outcome).toMatchObject({ status: 0, errors: "" });
    expect(await reopened(place("to"))).toEqual(await reopened(place("from")));
  });

  test("has updates that are longer than a line or a slot", async () => {
    const before: unknown[] = [];
    {
      await using desk = await openDesk(place("from"));
      const { notes, drafts } = desk.collections;
      notes.change("big", (doc) => doc.getMap("m").set("bytes", noise(1_500_000)));
      notes.change("big", (doc) => doc.getText("t").insert(0, "after"));
      drafts.change("big", (draft) => void (draft.bytes = noise(900_000)));
      before.push(contentOf(desk));
    }
    await exported(place("from"), place("file"));
    const lines = (await readFile(place("file"), "utf8")).split("\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(300 * 1024);
    await imported(place("file"), place("to"));
    expect(await reopened(place("to"))).toEqual(before[0]);
    await imported(place("file"), place("to"), { merge: true });
    expect(await reopened(place("to"))).toEqual(before[0]);
  });

  test("changes nothing when it is imported once more", async () => {
    {
      await using desk = await openDesk(place("from"));
      edit(desk, "one");
      desk.collections.likes.decrement("a");
    }
    await exported(place("from"), place("file"));
    await imported(place("file"), place("to"));
    const before = await reopened(place("to"));
    const first = await exported(place("to"), place("first"));
    await imported(place("file"), place("to"), { merge: true });
    expect(await reopened(place("to"))).toEqual(before);
    // Nor is anything there twice.
    const again = await exported(place("to"), place("again"));
    expect(again.lines).toBe(first.lines);
    const updates = async (file: string): Promise<string[]> =>
      (await readFile(place(file), "utf8")).split("\n").filter((line) => line.includes("updates"));
    expect(await updates("again")).toEqual(await updates("first"));
  });

  test("goes beside what is there, and reaches who has the document open", async () => {
    {
      await using desk = await openDesk(place("from"));
      edit(desk, "one");
    }
    await exported(place("from"), place("file"));
    await using live = await openDesk();
    const { notes } = live.collections;
    notes.change("plan", (doc) => doc.getText("t").insert(0, "mine"));
    let heard = 0;
    notes.observe("plan", () => heard++);
    const { refused } = await imported(place("file"), undefined, {
      ...{ join: [urlOf(live)], merge: true },
    });
    expect(refused).toEqual([]);
    expect(heard).toBeGreaterThan(0);
    const text = notes.get("plan").getText("t").toJSON();
    expect(text).toContain("mine");
    expect(text).toContain("one 199");
  });

  test("is refused by key where it and what is there would be too large for one document", async () => {
    {
      await using desk = await openDesk(place("from"));
      desk.collections.notes.change("big", (doc) => doc.getMap("m").set("a", noise(6_000_000)));
      desk.collections.notes.change("small", (doc) => doc.getMap("m").set("a", 1));
    }
    await exported(place("from"), place("file"));
    await using live = await openDesk();
    const { notes } = live.collections;
    notes.change("big", (doc) => doc.getMap("m").set("b", noise(6_000_000)));
    const { refused, refusedCount } = await imported(place("file"), undefined, {
      ...{ join: [urlOf(live)], merge: true },
    });
    expect(refusedCount).toBe(1);
    expect(refused[0]).toMatchObject({ collection: "notes", key: "big" });
    expect(refused[0]?.reason).toContain("would weigh more than");
    expect([...notes.get("big").getMap("m").keys()]).toEqual(["b"]);
    expect(notes.get("small").getMap("m").get("a")).toBe(1);
  });
});

describe("a file with documents that is no whole export", () => {
  const header = JSON.stringify({
    ...{ trellis: "export", format: 1, version: "0", time: "", at: "" },
    collections: [{ name: "notes", type: "y-doc/1", keys: 2 }],
  });
  const line = (key: string, content: string): string => `{"c":"notes","k":"${key}",${content}}\n`;
  const part = (at: number, parts: number): string =>
    `"update":"AAAA","part":${at},"parts":${parts}`;

  test.each<[what: string, lines: string, number: number, said: string]>([
    ["no base64", line("a", '"updates":["A"]'), 2, "no base64"],
    ["base64 with more behind it", line("a", '"updates":["AAAA\\n"]'), 2, "no base64"],
    ["base64 that says less than it could", line("a", '"updates":["AB=="]'), 2, "no base64"],
    ["an empty update", line("a", '"updates":[""]'), 2, "no base64"],
    ["a number", line("a", '"updates":[1]'), 2, "no string"],
    ["no updates", line("a", '"updates":[]'), 2, "no updates"],
    ["two kinds at once", line("a", `"updates":["AAAA"],${part(0, 1)}`), 2, "not exactly"],
    ["another content", line("a", '"total":1'), 2, "not exactly"],
    ["a part beyond the last", line("a", part(2, 2)), 2, "a part that is none"],
    ["endless parts", line("a", part(0, 1_000_000)), 2, "a part that is none"],
    ["a first part that is not", line("a", part(1, 3)), 2, "has to follow"],
    ["a part left out", line("a", part(0, 3)) + line("a", part(2, 3)), 3, "has to follow"],
    ["a part twice", line("a", part(0, 3)) + line("a", part(0, 3)), 3, "has to follow"],
    ["parts of two", line("a", part(0, 3)) + line("a", part(1, 2)), 3, "has to follow"],
    ["parts and whole ones", line("a", part(0, 2)) + line("a", '"updates":["AAAA"]'), 3, "follow"],
    ["a key between", line("a", part(0, 2)) + line("b", part(0, 1)), 3, "before the last part"],
    [
      "no last part",
      `${line("a", part(0, 2))}{"trellis":"end","lines":1,"keys":1,"sha256":""}\n`,
      ...([3, "before the last part"] as const),
    ],
  ])("is refused for %s", async (_, lines, number, said) => {
    await writeFile(place("bad"), `${header}\n${lines}`);
    const outcome: unknown = await imported(place("bad"), place("to")).catch(
      (error: unknown) => error,
    );
    expect(outcome).toBeInstanceOf(ExportFileError);
    expect(outcome).toMatchObject({ line: number });
    expect(String(outcome)).toContain(said);
    expect(existsSync(place("to"))).toBe(false);
  });

  test("may have updates that are none: whoever reads the document passes over them", async () => {
    const doc = new Y.Doc();
    doc.getText("t").insert(0, "good");
    const good = Buffer.from(Y.encodeStateAsUpdate(doc)).toString("base64");
    {
      await using desk = await openDesk(place("from"));
      desk.collections.notes.add("a", [Buffer.from(good, "base64"), Buffer.from("AAAA", "base64")]);
      desk.collections.notes.add("a", [Buffer.from("no update at all")]);
      expect(desk.collections.notes.json("a")).toEqual({ t: "good" });
    }
    await exported(place("from"), place("file"));
    await imported(place("file"), place("to"));
    await using desk = await openDesk(place("to"));
    expect(desk.collections.notes.json("a")).toEqual({ t: "good" });
  });
});
