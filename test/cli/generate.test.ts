import { describe, expect, test } from "vitest";
import { generateRequests } from "../../src/cli/replay/generate.ts";
import { columns, parseLine, type Request } from "../../src/cli/replay/log.ts";
import { seededRandom, zipf } from "../../src/cli/replay/random.ts";

const line = (request: Request): string => columns.map((column) => request[column]).join("\t");

/** How often each value comes, the most frequent first. */
const frequencies = (values: readonly string[]): number[] => {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts.values()].toSorted((left, right) => right - left);
};

describe("made-up requests", () => {
  test("follow from their seed", () => {
    expect(generateRequests(500, 7)).toEqual(generateRequests(500, 7));
    expect(generateRequests(500, 7)).not.toEqual(generateRequests(500, 8));
  });

  test.each([1, 2, 10, 5_000])("are as many as asked for: %i", (count) => {
    expect(generateRequests(count, 1)).toHaveLength(count);
  });

  test("would all pass as lines of a log", () => {
    const requests = generateRequests(2_000, 3);
    expect(requests.map((request) => parseLine(line(request), 2))).toEqual(requests);
  });

  test("have a few paths and visitors that make most of them, and many that make one", () => {
    const requests = generateRequests(6_000, 5);
    for (const column of ["path", "visitor"] as const) {
      const counts = frequencies(requests.map((request) => request[column]));
      const tenth = counts.slice(0, Math.ceil(counts.length / 10));
      expect(counts.length).toBeGreaterThan(500);
      expect(tenth.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(requests.length * 0.3);
      expect(counts.at(-1)).toBe(1);
    }
  });

  test("have awkward paths and requests without a referrer among them", () => {
    const requests = generateRequests(6_000, 5);
    expect(requests.some(({ path }) => path === "__proto__")).toBe(true);
    expect(requests.some(({ path }) => path.includes("☕"))).toBe(true);
    expect(requests.filter(({ referrer }) => referrer === "").length).toBeGreaterThan(1_000);
  });
});

describe("the source of numbers", () => {
  test("fills its range evenly", () => {
    const random = seededRandom(42);
    const buckets = Array.from({ length: 16 }, () => 0);
    for (let draw = 0; draw < 16_000; draw++) {
      const bucket = Math.floor(random() * 16);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(Math.min(...buckets)).toBeGreaterThan(850);
    expect(Math.max(...buckets)).toBeLessThan(1_150);
  });

  test("draws ranks by Zipf's law", () => {
    const draw = zipf(100, 1, seededRandom(9));
    const counts = Array.from({ length: 100 }, () => 0);
    for (let index = 0; index < 50_000; index++) {
      const rank = draw();
      counts[rank] = (counts[rank] ?? 0) + 1;
    }
    expect((counts[0] ?? 0) / (counts[9] ?? 1)).toBeGreaterThan(8);
    expect((counts[0] ?? 0) / (counts[9] ?? 1)).toBeLessThan(12);
    expect(zipf(1, 1, () => 0.999_999)()).toBe(0);
  });
});
