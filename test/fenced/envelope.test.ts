/** What stands in a guard: given back as it was written, and refused if it was not. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CorruptStorageError } from "../../src/errors.ts";
import {
  decodeEnvelope,
  encodeEnvelope,
  type Envelope,
} from "../../src/escalate/fenced/envelope.ts";
import { KeyMemory, keysMax, resultBytesMax } from "../../src/escalate/fenced/key-memory.ts";
import { resourcePrefix, splitResource } from "../../src/escalate/fenced/resource-names.ts";
import { copyValue, type Json } from "../../src/store/values.ts";
import { bytes, rejection } from "../locks/trial.ts";
import { Cluster } from "./scene.ts";

const json = fc.option(fc.jsonValue({ noUnicodeString: false }), { nil: undefined });
const remembered = fc.record({
  hash: fc
    .uint8Array({ minLength: 16, maxLength: 16 })
    .map((hash) => Buffer.from(hash).toString("latin1")),
  atMs: fc.nat(),
  result: json,
});
const envelopes = fc
  .record({
    lineage: fc.integer({ min: 1 }),
    value: json,
    entries: fc.uniqueArray(remembered, { selector: ({ hash }) => hash, maxLength: 20 }),
  })
  .map(({ lineage, value, entries }): Envelope => {
    const memory = entries.reduce(
      (before, { result, ...entry }) => before.with({ ...entry, result: valid(result) }),
      KeyMemory.empty,
    );
    return { lineage, value: valid(value), memory };
  });

/** As a value that was checked where it entered. */
const valid = (value: unknown): Json | undefined => {
  try {
    return value === undefined ? undefined : copyValue(value);
  } catch {
    return null;
  }
};

/** Bytes that no cache knows. */
const fresh = (encoded: Uint8Array): Uint8Array => Uint8Array.from(encoded);

describe("an envelope", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(envelopes, (envelope) => {
        const encoded = encodeEnvelope(envelope);
        const read = decodeEnvelope(fresh(encoded), "r");
        expect([read.lineage, read.value]).toEqual([envelope.lineage, envelope.value]);
        expect(fresh(encodeEnvelope(read))).toEqual(fresh(encoded));
      }),
    );
  });

  test("of which a byte is wrong, missing or too many is refused, or is another one that is whole", () => {
    fc.assert(
      fc.property(envelopes, fc.nat(), fc.integer({ min: 1, max: 255 }), (envelope, at, by) => {
        const encoded = fresh(encodeEnvelope(envelope));
        const place = at % encoded.length;
        const wrong = Uint8Array.from(encoded, (byte, i) => (i === place ? byte ^ by : byte));
        for (const hostile of [wrong, encoded.subarray(0, place), Uint8Array.of(...encoded, by)]) {
          try {
            const read = decodeEnvelope(fresh(hostile), "r");
            expect(decodeEnvelope(fresh(encodeEnvelope(read)), "r").lineage).toBe(read.lineage);
          } catch (error) {
            // oxlint-disable-next-line vitest/no-conditional-expect -- either is fine, nothing else is
            expect(error).toBeInstanceOf(CorruptStorageError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test("of random bytes is refused without being believed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (hostile) => {
        const read = Uint8Array.of(1, ...hostile);
        try {
          decodeEnvelope(read, "r");
        } catch (error) {
          // oxlint-disable-next-line vitest/no-conditional-expect -- nothing else may be thrown
          expect(error).toBeInstanceOf(CorruptStorageError);
        }
      }),
      { numRuns: 5_000 },
    );
    for (const foreign of ["", "17", '{"a":1}', "\u0002"]) {
      expect(() => decodeEnvelope(bytes(foreign), "r")).toThrow(CorruptStorageError);
    }
  });

  test("that claims more than there may be is refused before it is believed", () => {
    const text = (length: number): number[] => [6, ...varint(length), ...Buffer.alloc(length, 97)];
    const entry = (i: number, result: number[]): number[] => [
      ...Buffer.from(i.toString().padStart(16, "0")),
      ...varint(1),
      ...result,
    ];
    const tooMany = [1, 1, 0, ...varint(keysMax + 1)];
    const tooLarge = [1, 1, 0, 1, ...entry(0, [1, ...text(resultBytesMax + 20)])];
    const twice = [1, 1, 0, 2, ...entry(3, [0]), ...entry(3, [0])];
    const largest = entry(0, [1, ...text(resultBytesMax - 2)]).length;
    const tooMuch = [1, 1, 0, 17];
    for (let i = 0; i < 17; i++) tooMuch.push(...entry(i, [1, ...text(resultBytesMax - 2)]));
    expect(largest * 17).toBeGreaterThan(2 ** 20);
    for (const hostile of [
      tooMany,
      tooLarge,
      twice,
      tooMuch,
      [1, 0, 0, 0],
      [2, 1, 0, 0],
      [1, 1, 2, 0],
    ]) {
      expect(() => decodeEnvelope(Uint8Array.from(hostile), "r")).toThrow(CorruptStorageError);
    }
  });

  test("that is none stops what is asked of its value, changes nothing, and harms no other", async () => {
    const cluster = new Cluster();
    const { accounts, fenced, watch } = cluster.site();
    const backend = watch.backend;
    await cluster.run(backend.compareAndSet("value/accounts/x", undefined, bytes("17"), "foreign"));
    const asked = [
      accounts.read("x"),
      accounts.update("x", () => 1),
      fenced.escalate([accounts.at("x"), accounts.at("y")], () => 1),
    ];
    for (const error of await cluster.run(Promise.all(asked.map(rejection)))) {
      expect(error).toBeInstanceOf(CorruptStorageError);
    }
    expect(accounts.get("x")).toBeUndefined();
    expect(await cluster.run(accounts.update("y", () => 1))).toBe(1);
    expect((await cluster.run(backend.read("value/accounts/x")))?.version).toBe(1n);
  });
});

describe("a memory of keys", () => {
  const entry = (hash: string, atMs = 0) => ({ hash: hash.padEnd(16, "."), atMs, result: hash });

  test("shows what was appended to it and nothing that was appended to another", () => {
    const base = KeyMemory.empty.with(entry("a")).with(entry("b"));
    const left = base.with(entry("c"));
    const right = base.with(entry("d")).with(entry("e"));
    const found = (memory: KeyMemory): string =>
      ["a", "b", "c", "d", "e"].filter((name) => memory.find(name.padEnd(16, "."))).join("");
    expect([base, left, right, KeyMemory.empty].map(found)).toEqual(["ab", "abc", "abde", ""]);
    expect([base, left, right].map(({ count }) => count)).toEqual([2, 3, 4]);
    const read = (memory: KeyMemory): string =>
      found(decodeEnvelope(fresh(encodeEnvelope({ lineage: 1, value: 1, memory })), "r").memory);
    expect([base, left, right].map(read)).toEqual(["ab", "abc", "abde"]);
  });

  test("drops what is past its window, in time, and nothing before", () => {
    let memory = KeyMemory.empty;
    for (let i = 0; i < 100; i++) memory = memory.with(entry(`k${i}`, i));
    const at = (nowMs: number): number => memory.at(nowMs, 1_000).count;
    expect([at(0), at(999), at(1_000), at(1_050), at(5_000)]).toEqual([100, 100, 99, 49, 0]);
  });
});

describe("the names of guards", () => {
  test("are different for different collections and keys, whatever is in them", () => {
    const name = fc.string({ unit: fc.constantFrom("a", "/", "%", "2", "F"), maxLength: 6 });
    fc.assert(
      fc.property(name, name, name, name, (collection, key, otherCollection, otherKey) => {
        const resource = resourcePrefix("value", collection) + key;
        const other = resourcePrefix("value", otherCollection) + otherKey;
        expect(resource === other).toBe(collection === otherCollection && key === otherKey);
        expect(splitResource(resource)).toEqual({
          prefix: resourcePrefix("value", collection),
          key,
        });
        expect(resource).not.toBe(resourcePrefix("claim", collection) + key);
      }),
    );
    expect(splitResource("lock/value/a/b")).toBeUndefined();
    expect(splitResource("value/a")).toBeUndefined();
  });
});

function varint(value: number): number[] {
  const encoded: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) encoded.push((rest % 0x80) | 0x80);
  return [...encoded, rest];
}
