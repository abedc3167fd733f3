/** The suite of the storage port on every backend, and what only a crash shows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { CorruptStorageError, StorageError } from "../../src/errors.ts";
import { levelStorage } from "../../src/store/storage/level.ts";
import { memoryStorage } from "../../src/store/storage/memory.ts";
import { Random, World } from "../simulation/virtual-environment.ts";
import { batchOf, bytesOf, contentOf, storageConformance } from "./conformance.ts";
import { FaultyDisk } from "./faulty-disk.ts";

const folder = mkdtempSync(join(tmpdir(), "trellis-engine-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let stores = 0;
storageConformance("memoryStorage", memoryStorage);
storageConformance("levelStorage", () => levelStorage(join(folder, `store ${stores++}`)));
storageConformance("FaultyDisk", () => new FaultyDisk(1));

describe("FaultyDisk", () => {
  /** How many batches were begun, and the last one that was promised to be synchronised. */
  interface Written {
    readonly count: number;
    readonly promised: number;
  }

  /** Writes batches 0, 1, 2… of two records each, without waiting for the last ones. */
  const writeSome = async (disk: FaultyDisk, random: Random): Promise<Written> => {
    const engine = await disk.open();
    const count = 1 + random.below(20);
    let promised = -1;
    for (let at = 0; at < count; at++) {
      const sync = random.chance(0.3);
      const written = batchOf(engine, { [`a ${at}`]: "", [`b ${at}`]: "" }).write({ sync });
      if (at < count - 2) await written;
      if (at < count - 2 && sync) promised = at;
    }
    return { promised, count };
  };

  test("after a crash it holds a prefix with all that was synchronised, under every seed", async () => {
    const seen = { lost: 0, torn: 0, all: 0 };
    for (let seed = 0; seed < 500; seed++) {
      const random = new Random(seed);
      const disk = new FaultyDisk(seed);
      const { promised, count } = await writeSome(disk, random);
      disk.crash();
      const engine = await disk.open();
      const content = (await contentOf(engine)).map(([key]) => key);
      const length = content.length / 2;
      const prefix = Array.from({ length }, (_, at) => [`a ${at}`, `b ${at}`]).flat();
      expect(content, `seed ${seed}`).toEqual(prefix.toSorted());
      expect(length, `seed ${seed}`).toBeGreaterThan(promised);
      if (length < count) seen.lost++;
      else seen.all++;
      if (engine.tornBytes > 0) seen.torn++;
      expect(engine.tornBytes === 0 || length < count, `seed ${seed}`).toBe(true);
    }
    expect(Math.min(seen.lost, seen.torn, seen.all)).toBeGreaterThan(20);
  });

  test("the same seed and the same calls give the same disk", async () => {
    const run = async (): Promise<unknown> => {
      const disk = new FaultyDisk(7);
      await writeSome(disk, new Random(7));
      disk.crash();
      const engine = await disk.open();
      return [engine.tornBytes, await contentOf(engine)];
    };
    expect(await run()).toEqual(await run());
  });

  test("a write that failed is not there later, and the next one succeeds", async () => {
    const disk = new FaultyDisk(1);
    const engine = await disk.open();
    disk.isFull = true;
    const refused = batchOf(engine, { a: "1" }).write({ sync: true });
    await expect(refused).rejects.toThrow(StorageError);
    disk.isFull = false;
    disk.failures = 1;
    await expect(batchOf(engine, { b: "1" }).write({ sync: true })).rejects.toThrow(/failed/u);
    await batchOf(engine, { c: "1" }).write({ sync: true });
    disk.crash();
    expect(await contentOf(await disk.open())).toEqual([["c", "1"]]);
  });

  test("writes take their process's time, and end with it", async () => {
    const world = new World(3);
    const environment = world.environment();
    const disk = new FaultyDisk(3);
    const engine = await disk.backend(environment).open();
    let isWritten = false;
    void batchOf(engine, { a: "1" })
      .write({ sync: true })
      .finally(() => {
        isWritten = true;
      });
    await world.settle({ forMs: 0 });
    expect(isWritten).toBe(false);
    await world.settle({ forMs: 100 });
    expect(isWritten).toBe(true);
    isWritten = false;
    void batchOf(engine, { a: "2" })
      .write({ sync: true })
      .finally(() => {
        isWritten = true;
      });
    environment.stop();
    disk.crash();
    await world.settle({ forMs: 1_000 });
    expect(isWritten).toBe(false);
  });

  test("copies and images are apart from the disk", async () => {
    const disk = new FaultyDisk(5);
    const engine = await disk.open();
    await batchOf(engine, { a: "1" }).write({ sync: false });
    const image = disk.image();
    const copy = disk.copy();
    await batchOf(engine, { a: "2" }).write({ sync: true });
    expect(await contentOf(await copy.open())).toEqual([["a", "1"]]);
    disk.restore(image);
    expect(await contentOf(await disk.open())).toEqual([["a", "1"]]);
  });

  test("a damaged record stops whoever reads it", async () => {
    const disk = new FaultyDisk(6);
    const engine = await disk.open();
    await batchOf(engine, { a: "1", b: "2" }).write({ sync: true });
    disk.damage(bytesOf("b"));
    expect(await contentOf(engine, bytesOf("a"), bytesOf("b"))).toHaveLength(1);
    await expect(contentOf(engine)).rejects.toThrow(CorruptStorageError);
  });
});
