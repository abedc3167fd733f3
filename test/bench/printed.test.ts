/** What a run shows on a terminal. */
import { describe, expect, test } from "vitest";
import { printed } from "../../src/cli/bench/printed.ts";
import { significant } from "../../src/cli/bench/report/numbers.ts";
import type { Results, Violations } from "../../src/cli/bench/results.ts";
import { sample } from "./results-sample.ts";

const text = printed(sample);
const lines = text.split("\n");

const columnsMax = 100;

/** The names in the first column of the table under a title. */
function namesUnder(title: string): readonly string[] {
  const from = lines.findIndex((line) => line.startsWith(title));
  const rest = lines.slice(from + 3);
  return rest
    .slice(
      0,
      rest.findIndex((line) => line.startsWith("└")),
    )
    .map((line) => line.split("│")[1]?.trim() ?? "");
}

const noViolations: Violations = {
  ...{ total: 0, oversold: 0, doubled: 0, lost: 0, conjured: 0, divergent: 0 },
};

/** The sample, in which one strategy broke as many rules as given, and no other did. */
const withBroken = (name: string, violations: Violations): Results => ({
  ...sample,
  cells: sample.cells.map((cell) =>
    cell.measures === undefined
      ? cell
      : {
          ...cell,
          measures: {
            ...cell.measures,
            violations: cell.strategy === name ? violations : noViolations,
          },
        },
  ),
});

describe("what is printed", () => {
  test("has a table for each workload, the fastest first", () => {
    const names = namesUnder("stock: take 1 unit");
    expect(names.slice(0, 3)).toEqual(["strawman-pn-counter *", "trellis-escrow", "owner-routing"]);
    expect(names.at(-1)).toBe("etcd-lock");
    expect(new Set(names).size).toBe(names.length);
    for (const name of ["likes", "coupons", "names", "register", "transfers"]) {
      expect(namesUnder(`${name}: `)).toContain("redis-lua");
    }
  });

  test("compares with the yardstick in the same cell", () => {
    expect(lines.find((line) => line.includes("│ redis-lua "))).toMatch(/│ 1 +│/u);
  });

  test("shows what cannot be durable beside what is", () => {
    expect(namesUnder("likes: ")).toContain("automerge *");
    expect(text).toContain("* in memory only");
  });

  test("is no wider than a terminal", () => {
    const rows = lines.filter((line) => /^[│┌├└]/u.test(line));
    expect(rows.filter((line) => line.length > columnsMax)).toEqual([]);
    expect(rows.length).toBeGreaterThan(100);
  });

  test("tells of faults, of scale, of what is missing and of what is apart", () => {
    expect(text).toContain("SIGKILL of the server");
    expect(text).toMatch(/Callers of one hot key +│ redis-lock +│ ms an operation, p50 +│ 1.64/u);
    expect(text).toContain("skipped: zookeeper-lock: ZooKeeper is not installed: there is no Java");
    expect(text).toContain("no result: mysql-for-update, names: nothing was answered");
    expect(text).toContain("no result: batch-lock, stock, SIGKILL of the server: Redis did");
    expect(text).toContain("Of 214 ratios to redis-lua, 213 are within 25 %");
    expect(text).toContain("apart: redlock-npm, transfers: 0.021 before, 0.034 now");
  });

  test("leaves out what was not part of the run", () => {
    const { agreement: _, ...rest } = sample;
    const short = printed({ ...rest, faults: [], scaling: [] });
    expect(short).not.toMatch(/faults:|scale:|ratios to/u);
  });

  test("lets nothing through that a terminal would obey", () => {
    const strategies = sample.strategies.map((each) =>
      each.skipped === undefined ? each : { ...each, skipped: "gone\u001B[2J\nnow" },
    );
    expect(printed({ ...sample, strategies })).toContain("gone [2J now");
  });
});

describe("the verdict", () => {
  test("holds nothing against others when only the strawman broke rules", () => {
    expect(text).toContain("Invariants broken: none, except by the strawman");
    expect(text).toContain("strawman-pn-counter 1,234 times (1,234 oversold)");
  });

  test("names who else broke which rules, and how often", () => {
    const some: Violations = { ...noViolations, total: 3, doubled: 2, lost: 1 };
    const told = printed(withBroken("redlock-npm", some));
    const places = sample.cells.filter(({ strategy }) => strategy === "redlock-npm").length;
    expect(told).toContain(
      `Invariants broken: by redlock-npm ${3 * places} times (${2 * places} given twice, ${places} lost)`,
    );
  });

  test("counts what broke under a fault", () => {
    const faults = sample.faults.map((fault) =>
      fault.strategy === "redis-lock" && fault.fault === "kill-server"
        ? { ...fault, violations: { ...noViolations, total: 5, lost: 5 } }
        : fault,
    );
    expect(printed({ ...sample, faults })).toContain("by redis-lock 5 times (5 lost)");
  });

  test("says so when the strawman broke none, or was not there", () => {
    expect(printed(withBroken("nobody", noViolations))).toContain("not by the strawman either");
    const strategies = sample.strategies.filter(({ isStrawman }) => isStrawman !== true);
    expect(printed({ ...sample, strategies })).toContain("No strawman took part");
  });
});

test.each([
  [12_345.6, "12,300"],
  [0.012_345, "0.0123"],
  [1, "1"],
  [0, "0"],
  [0.000_01, "<0.001"],
  [null, "–"],
  [undefined, "–"],
  [Number.NaN, "–"],
])("%s is shown as %s", (value, shown) => {
  expect(significant(value)).toBe(shown);
});
