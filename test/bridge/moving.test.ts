/** What docs/bridges.md says of moving from the servers that documents come from. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import * as Automerge from "@automerge/automerge";
import { Repo } from "@automerge/automerge-repo";
import { LeveldbPersistence } from "y-leveldb";
import * as Y from "yjs";
import { automergeDoc } from "../../src/bridge/automerge.ts";
import { yDoc } from "../../src/bridge/yjs.ts";
import { openReplica, type Replica } from "../../src/index.ts";

const schema = { notes: yDoc(), boards: automergeDoc<{ title: string }>() };
const folder = mkdtempSync(join(tmpdir(), "trellis-moving-"));
let shop: Replica<typeof schema> | undefined;

afterEach(async () => {
  await shop?.close();
  rmSync(folder, { recursive: true, force: true });
});

test("documents of y-leveldb are taken in by their updates, however often", async () => {
  shop = await openReplica({ schema, storage: join(folder, "shop") });
  const { notes } = shop.collections;
  const old = new LeveldbPersistence(join(folder, "old"));
  const doc = new Y.Doc();
  doc.on("update", (update: Uint8Array) => void old.storeUpdate("n1", update));
  for (const word of ["one ", "two ", "three"])
    doc.getText("t").insert(doc.getText("t").length, word);
  for (let times = 0; times < 2; times++) {
    for (const name of await old.getAllDocNames()) {
      notes.apply(name, Y.encodeStateAsUpdate(await old.getYDoc(name)));
    }
  }
  await old.destroy();
  await shop.acknowledged(shop.version(), { by: "durable" });
  expect(notes.get("n1").getText("t").toJSON()).toBe("one two three");
});

test("documents of automerge-repo are taken in under their documentId", async () => {
  shop = await openReplica({ schema });
  const { boards } = shop.collections;
  const repo = new Repo({});
  const made = repo.create<{ title: string }>({ title: "plans" });
  const handle = await repo.find<{ title: string }>(made.url);
  boards.apply(handle.documentId, Automerge.save(handle.doc()));
  expect(boards.get(handle.documentId).title).toBe("plans");
  await repo.shutdown();
});
