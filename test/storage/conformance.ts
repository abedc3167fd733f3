/** What every storage backend must do. An adapter's test is a name and a way to make an empty one. */
import { describe, expect, test } from "vitest";
import { ClosedError, StorageError, UsageError } from "../../src/errors.ts";
import type { StorageBackend, StorageEngine, WriteBatch } from "../../src/store/storage.ts";
import { Random } from "../simulation/virtual-environment.ts";

/** Text as bytes. */
export const bytesOf = (text: string): Uint8Array => Buffer.from(text, "latin1");

const first = bytesOf("");
const end = bytesOf("\xff\xff\xff\xff");

/** All records of a range, as text. */
export async function contentOf(
  engine: StorageEngine,
  from: Uint8Array = first,
  to: Uint8Array = end,
): Promise<(readonly [key: string, value: string])[]> {
  const content: (readonly [string, string])[] = [];
  for await (const page of engine.read(from, to)) {
    expect(page.length).toBeGreaterThan(0);
    for (const { key, value } of page) content.push([latin(key), latin(value)]);
  }
  return content;
}

/** A batch of puts. */
export function batchOf(
  engine: StorageEngine,
  records: Readonly<Record<string, string>>,
): WriteBatch {
  const batch = engine.batch();
  for (const [key, value] of Object.entries(records)) batch.put(bytesOf(key), bytesOf(value));
  return batch;
}

const latin = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

const synced = { sync: true };
const unsynced = { sync: false };

/** Runs the suite; `make` gives an empty store each time. */
export function storageConformance(name: string, make: () => StorageBackend): void {
  describe(`${name} as a storage backend`, () => {
    test("an empty store is empty, and nothing was torn", async () => {
      const engine = await make().open();
      expect(await contentOf(engine)).toEqual([]);
      expect(engine.tornBytes).toBe(0);
      expect(engine.location).not.toBe("");
      await engine.close();
    });

    test("a batch is written whole or not at all, and only when it is written", async () => {
      const engine = await make().open();
      const batch = batchOf(engine, { a: "1", b: "2" });
      expect(await contentOf(engine)).toEqual([]);
      await batch.write(unsynced);
      expect(await contentOf(engine)).toEqual([
        ["a", "1"],
        ["b", "2"],
      ]);
      const discarded = batchOf(engine, { a: "9", c: "9" });
      discarded.delete(bytesOf("b"));
      discarded.discard();
      discarded.discard();
      await discarded.write(synced);
      expect(await contentOf(engine)).toHaveLength(2);
      await engine.close();
    });

    test("the last change of a key in a batch is the one that counts", async () => {
      const engine = await make().open();
      const batch = batchOf(engine, { a: "1", b: "1" });
      batch.put(bytesOf("a"), bytesOf("2"));
      batch.delete(bytesOf("b"));
      batch.delete(bytesOf("c"));
      batch.put(bytesOf("c"), bytesOf("3"));
      await batch.write(synced);
      expect(await contentOf(engine)).toEqual([
        ["a", "2"],
        ["c", "3"],
      ]);
      await engine.close();
    });

    test("the empty key is refused", async () => {
      const engine = await make().open();
      const batch = engine.batch();
      expect(() => batch.put(first, bytesOf("1"))).toThrow(UsageError);
      expect(() => batch.delete(first)).toThrow(UsageError);
      await engine.close();
    });

    test.each([
      ["arrays", Uint8Array.of(1), Uint8Array.of(2)],
      ["buffers, whose slices are none,", Buffer.of(1), Buffer.of(2)],
    ])("what was put is a copy: of %s", async (_, key, value) => {
      const engine = await make().open();
      const batch = engine.batch();
      batch.put(key, value);
      key[0] = 7;
      value[0] = 7;
      await batch.write(unsynced);
      expect(await contentOf(engine)).toEqual([["\x01", "\x02"]]);
      await engine.close();
    });

    test("keys are in the order of their bytes, and a range has its start and not its end", async () => {
      const engine = await make().open();
      const keys = [
        "\x00",
        "\x00\x00",
        "a",
        "a\x00",
        "ab",
        "b",
        "\x7f",
        "\x80",
        "\xff",
        "\xff\xfe",
      ];
      await batchOf(engine, Object.fromEntries(keys.toReversed().map((key) => [key, key]))).write(
        synced,
      );
      expect((await contentOf(engine)).map(([key]) => key)).toEqual(keys);
      const range = await contentOf(engine, bytesOf("a"), bytesOf("b"));
      expect(range.map(([key]) => key)).toEqual(["a", "a\x00", "ab"]);
      expect(await contentOf(engine, bytesOf("b"), bytesOf("a"))).toEqual([]);
      await engine.close();
    });

    test("empty values and one of 1 MiB come back as they were", async () => {
      const backend = make();
      const large = new Random(1).bytes(1024 * 1024);
      const engine = await backend.open();
      const batch = engine.batch();
      batch.put(bytesOf("empty"), new Uint8Array(0));
      batch.put(bytesOf("large"), large);
      await batch.write(synced);
      await engine.close();
      const again = await backend.open();
      const content = new Map(await contentOf(again));
      expect(content.get("empty")).toBe("");
      expect(content.get("large") === latin(large)).toBe(true);
      expect(await again.size()).toBeGreaterThan(1024 * 1024);
      await again.close();
    });

    test("100,000 records are read in order, also after reopening", async () => {
      const backend = make();
      const engine = await backend.open();
      const keyOf = (at: number): string => String((at * 7_919) % 100_000).padStart(6, "0");
      for (let start = 0; start < 100_000; start += 10_000) {
        const batch = engine.batch();
        for (let at = start; at < start + 10_000; at++) {
          batch.put(bytesOf(keyOf(at)), bytesOf(`value ${keyOf(at)}`));
        }
        await batch.write(unsynced);
      }
      await engine.close();
      const again = await backend.open();
      const content = await contentOf(again);
      expect(content).toHaveLength(100_000);
      const isRight = content.every(
        ([key, value], at) => key === String(at).padStart(6, "0") && value === `value ${key}`,
      );
      expect(isRight).toBe(true);
      await again.close();
    });

    test("a reading goes on beside writes and shows none that came after it began", async () => {
      const engine = await make().open();
      const before = engine.batch();
      for (let at = 0; at < 5_000; at++) before.put(bytesOf(String(at).padStart(5, "0")), first);
      await before.write(unsynced);
      let count = 0;
      for await (const page of engine.read(first, end)) {
        count += page.length;
        const batch = batchOf(engine, { [`zz${count}`]: "late" });
        batch.delete(bytesOf("04999"));
        await batch.write(unsynced);
      }
      expect(count).toBe(5_000);
      expect((await contentOf(engine)).some(([key]) => key.startsWith("zz"))).toBe(true);
      await engine.close();
    });

    test("writes that were begun one after the other take effect in that order", async () => {
      const backend = make();
      const engine = await backend.open();
      const writes = Array.from({ length: 100 }, (_, at) =>
        batchOf(engine, { last: String(at), [`each ${at}`]: "" }).write({ sync: at % 3 === 0 }),
      );
      await engine.close();
      await Promise.all(writes);
      const again = await backend.open();
      const content = new Map(await contentOf(again));
      expect(content.get("last")).toBe("99");
      expect(content.size).toBe(101);
      await again.close();
    });

    test("a second opening is refused until the first one is closed, which is harmless twice", async () => {
      const backend = make();
      const engine = await backend.open();
      await expect(backend.open()).rejects.toThrow(StorageError);
      await expect(backend.open({ readOnly: true })).rejects.toThrow(/in use/u);
      await Promise.all([engine.close(), engine.close()]);
      await engine.close();
      const again = await backend.open();
      await again.close();
    });

    test("a closed store takes no writes", async () => {
      const engine = await make().open();
      const batch = batchOf(engine, { a: "1" });
      await engine.close();
      await expect(batch.write(synced)).rejects.toThrow(ClosedError);
    });

    test("what was opened to be read only is read, and not written", async () => {
      const backend = make();
      const engine = await backend.open();
      await batchOf(engine, { a: "1" }).write(unsynced);
      await engine.close();
      const reader = await backend.open({ readOnly: true });
      expect(await contentOf(reader)).toEqual([["a", "1"]]);
      expect(() => reader.batch()).toThrow(UsageError);
      await reader.close();
      const again = await backend.open();
      expect(await contentOf(again)).toEqual([["a", "1"]]);
      await again.close();
    });
  });
}
