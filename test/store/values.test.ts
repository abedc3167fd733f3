/** Keys, elements, values and amounts at the edges of what the contract allows. */
import { expect, test } from "vitest";
import type { Name } from "../../src/crdt/data-type.ts";
import { CounterRangeError, InvalidValueError } from "../../src/errors.ts";
import type { Json } from "../../src/store/values.ts";
import { World } from "../simulation/virtual-environment.ts";
import { Cluster } from "./cluster.ts";
import { dump } from "./dump.ts";
import { Replica } from "./replica.ts";

const replica = (): Replica => new Replica("it", new World(1).environment());

/** What JavaScript callers may pass. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- stands for a caller without types
const untyped = <T>(value: unknown): T => value as T;

/** Two replicas, the second with all that `write` did at the first. */
function copied(write: (it: Replica) => void): [Replica, Replica] {
  const cluster = new Cluster({ seed: 1, replicas: 2, keys: [] });
  const [one, other] = cluster.replicas as [Replica, Replica];
  write(one);
  cluster.heal();
  return [one, other];
}

const goodKeys = [
  "",
  "__proto__",
  "constructor",
  "\0",
  "\uFEFFbom",
  "é".repeat(512),
  "k".repeat(1024),
  "😀",
];

test("every legal key, element and value arrives as it was", () => {
  const elements: Name[] = [...goodKeys, "e".repeat(65_536), 0, 1, -1, 0.1, 1e308, -5e-324];
  elements.push(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, 1e21, true, false, null);
  const values: Json[] = [...elements, [], {}, [[{ a: [null, -1.5, "é"] }]], { ["__proto__"]: 1 }];
  values.push(JSON.parse('{"__proto__":{"x":1},"constructor":2,"":3}') as Json);
  const [, there] = copied(({ collections }) => {
    for (const key of goodKeys) {
      collections.counters.increment(key, 2);
      for (const element of elements) collections.sets.add(key, element);
      collections.maps.set(key, key, key);
      collections.entries.entry(key, key).notes.add(key);
    }
    values.forEach((value, i) => collections.registers.set(`value ${i}`, value));
  });
  const { counters, sets, maps, entries, registers } = there.collections;
  expect(counters.keys()).toEqual(goodKeys.toSorted());
  for (const key of goodKeys) {
    expect(counters.value(key)).toBe(2);
    expect(sets.size(key)).toBe(elements.length);
    for (const element of elements) expect(sets.has(key, element)).toBe(true);
    expect(maps.entries(key)).toEqual([[key, key]]);
    expect(entries.has(key, key)).toBe(true);
  }
  values.forEach((value, i) => {
    const read = registers.get(`value ${i}`);
    expect(JSON.stringify(read)).toBe(JSON.stringify(value));
  });
});

test.each([
  ["a lone surrogate", "a\ud800"],
  ["1,025 bytes", "k".repeat(1025)],
  ["1,026 bytes in 513 characters", "é".repeat(513)],
  ["a number", 1],
  ["undefined", undefined],
  ["null", null],
])("%s is no key, field or entry, for writing and for reading, and changes nothing", (_, bad) => {
  const { keyspace, collections } = replica();
  const key = untyped<string>(bad);
  const before = dump(keyspace, "all");
  for (const call of [
    () => collections.counters.increment(key),
    () => collections.counters.value(key),
    () => collections.counters.at(key).increment(),
    () => collections.sets.add(key, "e"),
    () => collections.sets.values(key),
    () => collections.registers.set(key, 1),
    () => collections.registers.get(key),
    () => collections.multis.set(key, 1),
    () => collections.maps.set("k", key, 1),
    () => collections.maps.get("k", key),
    () => collections.flags.enable(key),
    () => collections.flags.disable(key),
    () => collections.entries.entry("k", key).chosen.enable(),
    () => collections.entries.entry(key, "e").chosen.enable(),
  ]) {
    expect(call).toThrow(InvalidValueError);
  }
  expect(dump(keyspace, "all")).toEqual(before);
  keyspace.flush();
  expect(keyspace.held.isEmpty).toBe(true);
});

test.each([
  ["NaN", Number.NaN],
  ["an infinity", Number.POSITIVE_INFINITY],
  ["a bigint", 1n],
  ["undefined", undefined],
  ["an object", {}],
  ["a symbol", Symbol("s")],
  ["a function", () => 1],
  ["a lone surrogate", "\udfff"],
  ["65,537 bytes", "e".repeat(65_537)],
])("%s is no element", (_, bad) => {
  const { keyspace, collections } = replica();
  for (const call of [
    () => collections.sets.add("k", untyped<Name>(bad)),
    () => collections.sets.remove("k", untyped<Name>(bad)),
    () => collections.sets.has("k", untyped<Name>(bad)),
    () => collections.entries.entry("k", "e").notes.add(untyped<Name>(bad)),
  ]) {
    expect(call).toThrow(InvalidValueError);
  }
  keyspace.flush();
  expect(keyspace.held.isEmpty).toBe(true);
});

class Point {
  readonly x = 1;
}

const nested = (depth: number, inner: Json = 1): Json => {
  let value = inner;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
};

const circle: unknown[] = [];
circle.push(circle);

test.each([
  ["undefined", undefined],
  ["NaN", Number.NaN],
  ["an infinity inside", [1, Number.NEGATIVE_INFINITY]],
  ["a bigint inside", { a: 1n }],
  ["undefined inside", { a: undefined }],
  ["a hole", [1, 2].concat(new Array<number>(1))],
  ["a function inside", { f: () => 1 }],
  ["a Date", new Date(0)],
  ["a Map", new Map()],
  ["a class instance", new Point()],
  ["bytes", new Uint8Array(1)],
  ["a symbol for a name", { [Symbol("s")]: 1 }],
  ["a lone surrogate inside", ["\ud800"]],
  ["a name with a lone surrogate", { "\ud800": 1 }],
  ["65 levels", nested(65)],
  ["65 levels with nothing inside", nested(64, [])],
  ["a circle", circle],
  ["an instance of a subclass of Array", class extends Array {}.from([1])],
  ["more than 1 MiB", "x".repeat(1024 * 1024)],
  ["more than 1 MiB inside", ["x".repeat(1024 * 1024 - 3)]],
])("%s is no value, and changes nothing", (_, bad) => {
  const { keyspace, collections } = replica();
  collections.registers.set("k", "before");
  keyspace.flush();
  const before = dump(keyspace, "all");
  const value = untyped<Json>(bad);
  for (const call of [
    () => collections.registers.set("k", value),
    () => collections.multis.set("k", value),
    () => collections.maps.set("k", "f", value),
    () => collections.entries.entry("k", "e").quantity.set(value),
    () => collections.entries.entry("k", "e").extras.set("f", value),
  ]) {
    expect(call).toThrow(InvalidValueError);
  }
  keyspace.flush();
  expect(dump(keyspace, "all")).toEqual(before);
});

test("values of 64 levels and of 1 MiB are taken, and arrive", () => {
  const largest = ["x".repeat(1024 * 1024 - 4)];
  const [, there] = copied(({ collections }) => {
    collections.registers.set("deep", nested(64));
    collections.registers.set("large", largest);
    collections.registers.set("text", "x".repeat(1024 * 1024 - 2));
  });
  expect(there.collections.registers.get("deep")).toEqual(nested(64));
  expect(there.collections.registers.get("large")).toEqual(largest);
});

test("-0 is stored as 0, as an element, a value and inside a value", () => {
  const [here, there] = copied(({ collections }) => {
    collections.sets.add("k", -0);
    collections.registers.set("k", -0);
    collections.registers.set("inside", [-0]);
  });
  for (const { collections } of [here, there]) {
    expect(Object.is(collections.sets.values("k")[0], 0)).toBe(true);
    expect(collections.sets.has("k", 0) && collections.sets.has("k", -0)).toBe(true);
    expect(Object.is(collections.registers.get("k"), 0)).toBe(true);
    expect(collections.registers.get("inside")).toEqual([0]);
  }
});

test("what is stored is a frozen copy, here and at peers", () => {
  const value = { list: [{ a: 1 }] };
  const [here, there] = copied(({ collections }) => {
    collections.registers.set("k", value);
    value.list.push({ a: 2 });
  });
  for (const { collections } of [here, there]) {
    const read = collections.registers.get("k") as { list: { a: number }[] };
    expect(read).toEqual({ list: [{ a: 1 }] });
    expect(() => read.list.push({ a: 3 })).toThrow(TypeError);
    expect(() => Object.assign(read.list[0] ?? {}, { a: 3 })).toThrow(TypeError);
  }
});

test.each([0, -1, 0.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY, null, "1", 1n])(
  "a counter does not move by %s",
  (bad) => {
    const { counters } = replica().collections;
    const by = untyped<number>(bad);
    expect(() => counters.increment("k", by)).toThrow(InvalidValueError);
    expect(() => counters.decrement("k", by)).toThrow(InvalidValueError);
    expect(() => counters.at("k").increment(by)).toThrow(InvalidValueError);
    expect(counters.has("k")).toBe(false);
    expect(counters.size()).toBe(0);
  },
);

test("a counter stops at the safe integers on both sides, and nothing is changed", () => {
  const { counters } = replica().collections;
  const most = Number.MAX_SAFE_INTEGER;
  counters.increment("up", most);
  counters.decrement("down", most);
  expect(() => counters.increment("up")).toThrow(CounterRangeError);
  expect(() => counters.decrement("down")).toThrow(CounterRangeError);
  expect(() => counters.at("up").increment(most)).toThrow(
    expect.objectContaining({ collection: "counters", key: "up", by: most, value: most }),
  );
  expect([counters.value("up"), counters.value("down")]).toEqual([most, -most]);
  counters.decrement("up");
  counters.increment("down");
  expect([counters.value("up"), counters.value("down")]).toEqual([most - 1, 1 - most]);
});
