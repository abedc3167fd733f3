/** What becomes of a LevelDB directory when processes, disks and files fail. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { CorruptStorageError, StorageError } from "../../src/errors.ts";
import type { StorageEngine } from "../../src/store/storage.ts";
import { checksum } from "../../src/store/storage/level-checksum.ts";
import { examineLogs } from "../../src/store/storage/level-log.ts";
import { levelStorage } from "../../src/store/storage/level.ts";
import { Random } from "../simulation/virtual-environment.ts";
import { batchOf, bytesOf, contentOf } from "./conformance.ts";
import { killedWriter, prefixOf } from "./killed-writer.ts";

const folder = mkdtempSync(join(tmpdir(), "trellis-level-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let stores = 0;
const newDirectory = (): string => join(folder, `store-${stores++}`);

const synced = { sync: true };
const unsynced = { sync: false };

const logsOf = (directory: string): string[] =>
  readdirSync(join(directory, "records"))
    .filter((name) => name.endsWith(".log"))
    .map((name) => join(directory, "records", name));

const onlyLogOf = (directory: string): string => {
  const [log, ...others] = logsOf(directory);
  expect(others).toEqual([]);
  return String(log);
};

const flip = (path: string, at: number, length = 1): void => {
  const bytes = readFileSync(path);
  for (let i = at; i < at + length; i++) bytes[i] = (bytes[i] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
};

/** Writes the batches `from` to `to`, each of two records of some size. */
async function writeBatches(
  engine: StorageEngine,
  range: { readonly from: number; readonly to: number },
  options: { readonly sync: boolean },
): Promise<void> {
  for (let at = range.from; at < range.to; at++) {
    const name = String(at).padStart(6, "0");
    const filling = "x".repeat((at * 97) % 3_000);
    await batchOf(engine, { [`a${name}`]: filling, [`b${name}`]: filling }).write(options);
  }
}

test("the checksum is CRC-32C", () => {
  expect(checksum(bytesOf("123456789"), 0, 9)).toBe(0xe3069283);
  const bytes = new Random(1).bytes(100);
  expect(checksum(bytes, 37, 100, checksum(bytes, 0, 37))).toBe(checksum(bytes, 0, 100));
});

describe("a torn tail", () => {
  test("is cut and reported, wherever the log ends, and what remains is a prefix", async () => {
    const original = newDirectory();
    const engine = await levelStorage(original).open();
    await writeBatches(engine, { from: 0, to: 60 }, unsynced);
    await engine.close();
    const size = statSync(onlyLogOf(original)).size;
    const seed = 11;
    const random = new Random(seed);
    for (let round = 0; round < 25; round++) {
      const directory = newDirectory();
      cpSync(original, directory, { recursive: true });
      const length = random.below(size);
      truncateSync(onlyLogOf(directory), length);
      const place = `seed ${seed}, round ${round}, ${length} of ${size} bytes`;
      const reader = await levelStorage(directory).open({ readOnly: true });
      const torn = reader.tornBytes;
      const count = await prefixOf(reader, place);
      await reader.close();
      expect(statSync(onlyLogOf(directory)).size, `at ${place}`).toBe(length);
      const again = await levelStorage(directory).open();
      expect([again.tornBytes, await prefixOf(again, place)], `at ${place}`).toEqual([torn, count]);
      await writeBatches(again, { from: count, to: count + 2 }, synced);
      await again.close();
      const last = await levelStorage(directory).open();
      expect([last.tornBytes, await prefixOf(last, place)], `at ${place}`).toEqual([0, count + 2]);
      await last.close();
    }
  });

  test("is also what was written whole but refused, up to the last batch that was not", async () => {
    const directory = newDirectory();
    const engine = await levelStorage(directory).open();
    await writeBatches(engine, { from: 0, to: 30 }, synced);
    const bytes = readFileSync(onlyLogOf(directory));
    await engine.close();
    const all = examineLogs([{ name: "log", bytes }]);
    expect(all).toEqual({ keep: [bytes.length], last: 30, tornBytes: 0, damage: undefined });
    const { keep, last, damage } = examineLogs([{ name: "log", bytes }], 20);
    expect([last, damage]).toEqual([20, undefined]);
    const kept = examineLogs([{ name: "log", bytes: bytes.subarray(0, keep[0]) }]);
    expect([kept.last, kept.tornBytes]).toEqual([20, 0]);
  });

  test("may have a hole, when nothing behind it was synchronised", async () => {
    const original = newDirectory();
    const engine = await levelStorage(original).open();
    await writeBatches(engine, { from: 0, to: 10 }, synced);
    const hole = statSync(onlyLogOf(original)).size;
    await writeBatches(engine, { from: 10, to: 80 }, unsynced);
    const directory = newDirectory();
    cpSync(original, directory, { recursive: true });
    await engine.close();
    const log = onlyLogOf(directory);
    writeFileSync(log, readFileSync(log).fill(0, hole + 4_096, hole + 8_192));
    const again = await levelStorage(directory).open();
    expect(again.tornBytes).toBeGreaterThan(64 * 1024);
    const count = await prefixOf(again);
    expect(count).toBeGreaterThanOrEqual(10);
    expect(count).toBeLessThan(80);
    await again.close();
  });

  test("is damage when a later batch knows that it had been on the disk", async () => {
    const directory = newDirectory();
    const engine = await levelStorage(directory).open();
    await writeBatches(engine, { from: 0, to: 80 }, synced);
    await engine.close();
    const log = onlyLogOf(directory);
    flip(log, 10_000);
    const before = readFileSync(log);
    for (const readOnly of [true, false]) {
      const opening = levelStorage(directory).open({ readOnly });
      await expect(opening).rejects.toThrow(CorruptStorageError);
      await expect(opening).rejects.toThrow(/\.log cannot be read from byte \d+ on.*repair/u);
    }
    expect(readFileSync(log).equals(before)).toBe(true);
  });
});

describe("damage", () => {
  test("of any byte of any file is found, or has no effect", async () => {
    const original = newDirectory();
    const engine = await levelStorage(original).open();
    await writeBatches(engine, { from: 0, to: 100 }, unsynced);
    await engine.close();
    const reopened = await levelStorage(original).open();
    await writeBatches(reopened, { from: 100, to: 200 }, synced);
    const content = await contentOf(reopened);
    await reopened.close();
    const names = readdirSync(join(original, "records"));
    expect(names.some((name) => name.endsWith(".ldb"))).toBe(true);
    const seed = 23;
    const random = new Random(seed);
    let found = 0;
    for (let round = 0; round < 60; round++) {
      const name = random.pick(names);
      const size = statSync(join(original, "records", name)).size;
      if (size === 0) continue;
      const directory = newDirectory();
      cpSync(original, directory, { recursive: true });
      const at = random.below(size);
      flip(join(directory, "records", name), at);
      const place = `seed ${seed}, round ${round}, ${name} at ${at}`;
      const opened = await levelStorage(directory)
        .open()
        .catch((error: unknown) => error);
      if (opened instanceof CorruptStorageError) {
        found++;
        continue;
      }
      if (opened instanceof Error) throw new Error(place, { cause: opened });
      const again = opened as StorageEngine;
      const isWhole = JSON.stringify(await contentOf(again)) === JSON.stringify(content);
      expect(isWhole, `at ${place}`).toBe(true);
      await again.close();
    }
    expect(found).toBeGreaterThan(20);
  });

  test.each(["CURRENT", ".log", ".ldb", "MANIFEST"])(
    "a %s that is gone is missed",
    async (name) => {
      const directory = newDirectory();
      for (const from of [0, 10]) {
        const engine = await levelStorage(directory).open();
        await writeBatches(engine, { from, to: from + 10 }, synced);
        await engine.close();
      }
      const records = join(directory, "records");
      const files = readdirSync(records);
      rmSync(join(records, String(files.find((file) => file.includes(name)))));
      await expect(levelStorage(directory).open()).rejects.toThrow(CorruptStorageError);
      expect(readdirSync(records)).toHaveLength(files.length - 1);
    },
  );

  test("of the lock's own files costs nothing", async () => {
    const directory = newDirectory();
    const engine = await levelStorage(directory).open();
    await writeBatches(engine, { from: 0, to: 3 }, synced);
    await engine.close();
    for (const name of readdirSync(join(directory, "lock"))) {
      const path = join(directory, "lock", name);
      if (name.startsWith("MANIFEST")) flip(path, 2, 20);
    }
    const again = await levelStorage(directory).open();
    expect(await prefixOf(again)).toBe(3);
    await again.close();
  });
});

describe("a directory", () => {
  test("is the same under another name", async () => {
    const directory = newDirectory();
    const link = newDirectory();
    const engine = await levelStorage(directory).open();
    symlinkSync(directory, link);
    await expect(levelStorage(link).open()).rejects.toThrow(/in use by process \d+/u);
    await batchOf(engine, { a: "1" }).write(synced);
    await engine.close();
  });

  test("that does not exist is not made by reading it", async () => {
    const directory = newDirectory();
    const opening = levelStorage(directory).open({ readOnly: true });
    await expect(opening).rejects.toThrow(/holds no replica/u);
    expect(existsSync(directory)).toBe(false);
  });

  test("that cannot be made is an error that says so", async () => {
    const file = newDirectory();
    writeFileSync(file, "");
    const opening = levelStorage(join(file, "below")).open();
    await expect(opening).rejects.toThrow(StorageError);
    await expect(opening).rejects.toThrow(/ENOTDIR/u);
  });
});

describe("a process that is killed", () => {
  test("leaves a prefix with all that it was promised", async () => {
    const directory = newDirectory();
    const seed = 31;
    const random = new Random(seed);
    for (let round = 0; round < 12; round++) {
      const place = `seed ${seed}, round ${round}`;
      const last = await killedWriter(directory, {
        syncEvery: random.pick([1, 5, 1_000_000]),
        count: random.below(400),
      });
      const engine = await levelStorage(directory).open();
      // The operating system lives on, so what was not synchronised is there as well.
      expect(await prefixOf(engine, place), `at ${place}`).toBeGreaterThan(last);
      await engine.close();
    }
  }, 120_000);

  test("had the directory for itself, and the error says who it is", async () => {
    const directory = newDirectory();
    const engine = await levelStorage(directory).open();
    await batchOf(engine, { a00000000: "", b00000000: "" }).write(synced);
    const killed = killedWriter(directory, { syncEvery: 1, count: 1 });
    await expect(killed).rejects.toThrow(`in use by process ${process.pid}`);
    await engine.close();
    expect(await killedWriter(directory, { syncEvery: 1, count: 1 })).toBeGreaterThan(0);
  });
});

const isRoot = process.getuid?.() === 0;
const mountpoint = join(folder, "small");

/** A file system of its own; undefined where one cannot be mounted. */
function mountSmall(megabytes: number): (() => void) | undefined {
  mkdirSync(mountpoint, { recursive: true });
  const args = ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", mountpoint];
  if (!isRoot || spawnSync("mount", args).status !== 0) return undefined;
  return () => void spawnSync("umount", ["-l", mountpoint]);
}

describe("a full disk", () => {
  test("fails writes and nothing else, and they succeed once there is space", async ({ skip }) => {
    const unmount = mountSmall(48);
    if (!unmount) {
      if (isRoot && process.env["CI"] !== undefined) throw new Error("cannot mount a tmpfs");
      skip("mounting a small tmpfs takes root");
      return;
    }
    try {
      const directory = join(mountpoint, "store");
      const ballast = join(mountpoint, "ballast");
      const random = new Random(41);
      const engine = await levelStorage(directory).open();
      writeFileSync(ballast, Buffer.alloc(24 * 1024 * 1024));
      const written: string[] = [];
      const refused: unknown[] = [];
      for (let at = 0; at < 1_000 && refused.length < 5; at++) {
        const batch = engine.batch();
        const name = String(at).padStart(4, "0");
        batch.put(bytesOf(`a${name}`), random.bytes(40_000));
        batch.put(bytesOf(`b${name}`), random.bytes(40_000));
        await batch.write({ sync: at % 3 === 0 }).then(
          () => written.push(name),
          (error: unknown) => refused.push(error),
        );
      }
      expect(refused).toHaveLength(5);
      for (const error of refused) expect(error).toBeInstanceOf(StorageError);
      expect(String(refused[0])).toMatch(/the disk is full/u);
      rmSync(ballast);
      // LevelDB tells the next write of a file that it could not write behind its back while the disk was full: that one is refused.
      const first = batchOf(engine, { a7999: "", b7999: "" }).write(synced);
      await first.then(
        () => written.push("7999"),
        (error: unknown) => expect(String(error)).toMatch(/the disk is full/u),
      );
      for (const name of ["8000", "8001"]) {
        await batchOf(engine, { [`a${name}`]: "", [`b${name}`]: "" }).write(synced);
        written.push(name);
      }
      const expected = ["a", "b"].flatMap((kind) => written.map((name) => `${kind}${name}`));
      expect((await contentOf(engine)).map(([key]) => key)).toEqual(expected);
      await engine.close();
      const again = await levelStorage(directory).open();
      expect((await contentOf(again)).map(([key]) => key)).toEqual(expected);
      await again.close();
    } finally {
      unmount();
    }
  });
});
