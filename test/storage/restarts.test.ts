/**
 * What a restart costs: one that wrote, an actor's record and the cells of what it touched; one that did
 * not, nothing. Records are counted by kind, as the store has them.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openReplica } from "../../src/index.ts";
import { levelStorage } from "../../src/store/storage/level.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { lookInto, restart, schema } from "./restarting.ts";

/** An actor's key and record, and its cell in the counter: 16 bytes of a name, and numbers. */
const restartBytesMax = 5 + 20 + 8;

test("five hundred restarts that wrote cost an actor and a total each, and nothing else", async () => {
  const storage = memoryStorage();
  await restart(storage, 0);
  const first = await lookInto(storage);
  expect(first.count).toEqual({ meta: 1, actor: 1, collection: 3, node: 4, peer: 0 });
  for (let at = 1; at <= 500; at++) await restart(storage, at);
  const last = await lookInto(storage);
  expect(last.count).toEqual({ ...first.count, actor: 501 });
  expect(last.bytes - first.bytes).toBeLessThanOrEqual(500 * restartBytesMax);
  await using shop = await openReplica({ schema, storage });
  expect(shop.collections.likes.value("post")).toBe(501);
  expect(shop.collections.tags.values("post")).toEqual(["tag"]);
  expect(shop.collections.profile.get("u")).toBe("Ada 500");
  expect(shop.status().removalsKept).toBe(0);
});

test("five hundred restarts that wrote nothing leave every record as it was", async () => {
  const storage = memoryStorage();
  await restart(storage, 0);
  const before = await lookInto(storage);
  for (let at = 0; at < 500; at++) {
    await using shop = await openReplica({ schema, storage });
    expect(shop.collections.likes.value("post")).toBe(1);
  }
  expect(await lookInto(storage)).toEqual(before);
});

test("fifty restarts on a directory cost the same, and the directory stays small", async () => {
  const directory = await mkdtemp(join(tmpdir(), "trellis-restarts-"));
  try {
    const storage = levelStorage(directory);
    for (let at = 0; at < 50; at++) {
      await restart(storage, at);
      // As often without a write.
      await using shop = await openReplica({ schema, storage });
      expect(shop.collections.likes.value("post")).toBe(at + 1);
    }
    const { count } = await lookInto(storage);
    expect(count).toEqual({ meta: 1, actor: 50, collection: 3, node: 4, peer: 0 });
    const engine = await storage.open();
    expect(await engine.size()).toBeLessThan(256 * 1024);
    await engine.close();
  } finally {
    await rm(directory, { recursive: true });
  }
}, 60_000);
