import { describe, expect, test } from "vitest";
import { agreementWith } from "../../src/cli/bench/agreement.ts";
import type { CellResult, Measures, Results } from "../../src/cli/bench/results.ts";
import { slopeOf } from "../../src/cli/bench/scaling/slope.ts";

const cell = (strategy: string, perSecond: number): CellResult => ({
  ...{ strategy, workload: "stock", zipf: 0.9, keys: 100, callers: 16, nodes: 3 },
  ...{ roundTripMs: 1, isDurable: true },
  measures: { perSecond } as Measures,
});

const runOf = (cells: readonly CellResult[], profile = "quick"): Results =>
  ({ cells, profile, yardstick: "lock", startedAt: "2026-11-28T00:00:00Z" }) as unknown as Results;

describe("two runs", () => {
  const before = runOf([cell("lock", 100), cell("script", 1_000), cell("escrow", 2_000)]);

  test("agree when the machine is half as fast and all ratios stay", () => {
    const now = runOf([cell("lock", 50), cell("script", 500), cell("escrow", 1_000)]);
    expect(agreementWith(before, now)).toMatchObject({ compared: 2, apart: [] });
  });

  test("name what moved against the yardstick by more than a quarter, either way", () => {
    const now = runOf([cell("lock", 100), cell("script", 1_300), cell("escrow", 1_500)]);
    expect(agreementWith(before, now)?.apart).toMatchObject([
      { cell: { strategy: "script" }, before: 10, now: 13 },
      { cell: { strategy: "escrow" }, before: 20, now: 15 },
    ]);
  });

  test("are not compared when they asked different questions", () => {
    expect(agreementWith(before, runOf([], "full"))).toBeUndefined();
    const now = runOf([cell("lock", 100)]);
    expect(agreementWith(before, now)).toMatchObject({ compared: 0, apart: [] });
  });
});

test.each([
  ["constant", [5, 5, 5], 0],
  ["proportional", [3, 30, 300], 1],
  ["quadratic", [1, 100, 10_000], 2],
])("what is %s has its slope", (_, ys, slope) => {
  expect(slopeOf(ys.map((y, i) => ({ x: 10 ** i, y })))).toBeCloseTo(slope, 9);
});

test("one point, or none, is no line", () => {
  expect(slopeOf([{ x: 1, y: 1 }])).toBe(0);
  expect(slopeOf([])).toBe(0);
});
