/** What a disk has after any of its writes is what the documents were at some time, with all its causes. */
import * as Automerge from "@automerge/automerge";
import { expect, test } from "vitest";
import { automergeDoc } from "../../../src/bridge/automerge.ts";
import { yDoc } from "../../../src/bridge/yjs.ts";
import { counter } from "../../../src/crdt/index.ts";
import { openCollections } from "../../../src/store/collections/open.ts";
import { Exchanges } from "../../../src/store/exchanges.ts";
import { Journal } from "../../../src/store/journal.ts";
import { Keyspace } from "../../../src/store/keyspace.ts";
import { restore } from "../../../src/store/restore.ts";
import type { StorageEngine } from "../../../src/store/storage.ts";
import { Random, World } from "../../simulation/virtual-environment.ts";
import { type DiskImage, FaultyDisk } from "../../storage/faulty-disk.ts";
import { WatchedEngine } from "../../storage/watched-engine.ts";
import { assertWhole } from "../dump.ts";
import { joinInto } from "./joining.ts";

const schema = { notes: yDoc(), drafts: automergeDoc<Draft>(), likes: counter() };

// A type, not an interface: the library wants it indexed.
type Draft = { text: string };

/** More than fill the slots of a writer several times, and so long that whole documents are written, too. */
const edits = 300;
const markBytes = 600;

const markOf = (writer: string, edit: number): string =>
  `<${writer}${edit}>`.padEnd(markBytes, ".");

/** A replica as far as documents know it. */
function blank(world: World) {
  const environment = world.environment();
  const keyspace = new Keyspace({ schema, environment });
  const collections = openCollections(keyspace, schema);
  return { environment, keyspace, exchanges: new Exchanges(keyspace), collections };
}

/** With what a disk has. */
async function stored(world: World, engine: StorageEngine) {
  const replica = blank(world);
  let isRead = false;
  const restored = restore({ ...replica, engine }).finally(() => (isRead = true));
  await world.settle({ forMs: 10_000, until: () => isRead });
  return { replica, numbers: (await restored).numbers };
}
type Opened = ReturnType<typeof blank>;

/** How many edits of a writer stand in a text: those up to some point, in order. */
function editsIn(text: string, writer: string): number {
  const found = [...text.matchAll(/<([ab])(\d+)>/gu)].filter(([, by]) => by === writer);
  expect(found.map(([, , edit]) => Number(edit))).toEqual(found.map((_, at) => at));
  return found.length;
}

const noteOf = ({ collections }: Opened): string =>
  collections.notes.get("k").getText("t").toJSON();

/** In one batch with the counter. */
function write({ keyspace, collections }: Opened, writer: string, edit: number): void {
  keyspace.transact(() => {
    const text = collections.notes.get("k").getText("t");
    text.insert(text.length, markOf(writer, edit));
    if (writer === "a") collections.likes.increment("k");
  });
}

/** The names of slots, up to their level. */
function levelsIn({ keyspace }: Opened): Set<string> {
  const levels = new Set<string>();
  const root = keyspace.nodes.root("notes");
  const key = keyspace.nodes.container(root?.keys.get("k") ?? 0);
  for (const child of key?.children.values() ?? []) {
    const writer = keyspace.nodes.container(child);
    for (const [name, slot] of writer?.children ?? []) {
      if (keyspace.isLive(slot)) levels.add(String(name).charAt(0));
    }
  }
  return levels;
}

test("after any write of the disk, documents are what they were at some time, with all its causes", async () => {
  const [world, random, disk] = [new World(1), new Random(1), new FaultyDisk(1)];
  const images: DiskImage[] = [];
  const levels = new Set<string>();
  const engine = await disk.open();
  const { replica: a, numbers } = await stored(world, engine);
  const b = blank(world);
  const journal = new Journal({
    ...{ keyspace: a.keyspace, environment: a.environment, numbers },
    ...{ fsync: "interval", intervalMs: 20, peers: () => [], onChange: () => undefined },
    engine: new WatchedEngine(engine, async (go) => {
      await go();
      images.push(disk.image());
    }),
  });
  /** What each edit of the other one had seen. */
  const seen: number[] = [];
  a.collections.drafts.change("k", (draft) => void (draft.text = ""));
  for (let edit = 0; edit < edits; edit++) {
    write(a, "a", edit);
    // In a batch of its own, behind that.
    a.collections.drafts.change("k", (draft) => {
      Automerge.splice(draft, ["text"], draft.text.length, 0, `<a${edit}>`);
    });
    a.keyspace.flush();
    if (edit % 10 === 0) {
      joinInto(b, a);
      seen.push(editsIn(noteOf(b), "a"));
      write(b, "b", seen.length - 1);
      joinInto(a, b);
    }
    for (const level of levelsIn(a)) levels.add(level);
    if (random.chance(0.3)) await world.settle({ forMs: 30 });
  }
  await world.settle({ forMs: 1_000 });
  expect(journal.failure).toBeUndefined();
  // Changes, changes that were merged, and whole documents.
  expect([...levels].toSorted()).toEqual(["0", "1", "s"]);
  expect(images.length).toBeGreaterThan(50);
  let last = 0;
  for (const image of images) {
    const copy = new FaultyDisk(1);
    copy.restore(image);
    const { replica: found } = await stored(world, await copy.open());
    assertWhole(found.keyspace);
    const [ours, theirs] = [editsIn(noteOf(found), "a"), editsIn(noteOf(found), "b")];
    expect(noteOf(found)).toHaveLength((ours + theirs) * markBytes);
    expect(found.collections.likes.value("k")).toBe(ours);
    const drafted = editsIn(found.collections.drafts.get("k").text ?? "", "a");
    expect([ours, ours - 1]).toContain(drafted);
    expect(ours).toBeGreaterThanOrEqual(theirs === 0 ? 0 : (seen[theirs - 1] ?? 0));
    expect(ours).toBeGreaterThanOrEqual(last);
    last = ours;
    found.environment.stop();
  }
  expect(last).toBe(edits);
});
