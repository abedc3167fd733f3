/** What is deleted, the disk gets back: LevelDB by itself keeps much of it where nothing comes any more. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ClassicLevel } from "classic-level";
import { afterAll, expect, test } from "vitest";
import { recordKey } from "../../src/store/image.ts";
import type { StorageEngine } from "../../src/store/storage.ts";
import { levelStorage } from "../../src/store/storage/level.ts";
import { contentOf } from "./conformance.ts";

const folder = mkdtempSync(join(tmpdir(), "trellis-compaction-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const records = 150_000;
const batchRecords = 10_000;
const mebibyte = 1024 * 1024;
const deadlineMs = 20_000;

async function fill(engine: StorageEngine): Promise<void> {
  const value = new Uint8Array(100).fill(7);
  for (let from = 1; from <= records; from += batchRecords) {
    const batch = engine.batch();
    for (let at = from; at < from + batchRecords; at++) batch.put(recordKey("node", at), value);
    await batch.write({ sync: false });
  }
}

async function empty(engine: StorageEngine, from: number): Promise<void> {
  const batch = engine.batch();
  for (let at = from; at <= records; at++) batch.delete(recordKey("node", at));
  await batch.write({ sync: true });
}

/** As a process does that ends before all is merged: past the engine, so that it does not begin with it. */
async function deleteUnnoticed(directory: string, from: number): Promise<void> {
  const options = { keyEncoding: "view", valueEncoding: "view", compression: false } as const;
  const database = new ClassicLevel<Uint8Array, Uint8Array>(join(directory, "records"), options);
  await database.open();
  const batch = database.batch();
  for (let at = from; at <= records; at++) batch.del(recordKey("node", at));
  await batch.write({ sync: true });
  await database.close();
  // Its log becomes a table.
  const last = new ClassicLevel(join(directory, "records"), { compression: false });
  await last.open();
  await last.close();
}

async function shrinksTo(engine: StorageEngine, bytes: number): Promise<boolean> {
  const endMs = performance.now() + deadlineMs;
  while ((await engine.size()) > bytes && performance.now() < endMs) await sleep(20);
  return (await engine.size()) <= bytes;
}

test("what was deleted is given back to the disk, and the rest is there", async () => {
  const engine = await levelStorage(join(folder, "deleted")).open();
  await fill(engine);
  expect(await engine.size()).toBeGreaterThan(10 * mebibyte);
  await empty(engine, 11);
  expect(await shrinksTo(engine, 2 * mebibyte)).toBe(true);
  expect(await contentOf(engine)).toHaveLength(10);
  await engine.close();
});

test("what was dead when a store was closed is given back after it is opened, read and written", async () => {
  const backend = levelStorage(join(folder, "reopened"));
  const before = await backend.open();
  await fill(before);
  await before.close();
  await deleteUnnoticed(join(folder, "reopened"), 11);
  const engine = await backend.open();
  expect(await contentOf(engine)).toHaveLength(10);
  expect(await engine.size()).toBeGreaterThan(12 * mebibyte);
  const batch = engine.batch();
  batch.put(recordKey("node", 1), Uint8Array.of(1));
  await batch.write({ sync: true });
  expect(await shrinksTo(engine, 2 * mebibyte)).toBe(true);
  expect(await contentOf(engine)).toHaveLength(10);
  await engine.close();
});
