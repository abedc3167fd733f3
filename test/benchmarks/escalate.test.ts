/**
 * Keeps `npm run bench:escalate` from rotting: the rows that need no server, built as it builds them. What they
 * count is held here, and what virtual time makes the same everywhere; times are for people to look at.
 */
import { expect, test } from "vitest";
import { measure } from "./measured.ts";

const chooser = ["4-4-1", "4-4-1024", "p99-4"].map((cell) => `chooser/virtual-${cell}`);
const trips = ["updates", "unsold", "early"].map((part) => `trips/10-${part}`);

test(
  "bench:escalate prints a table for each question, and in virtual time what is promised",
  { timeout: 120_000 },
  async () => {
    const { stdout, tables } = await measure("escalate.mjs", [
      "local/memory-handle",
      ...trips,
      ...chooser,
    ]);
    expect(tables.map(([heading]) => heading)).toEqual([
      expect.stringContaining("tryDecrement"),
      expect.stringContaining("10,000 units"),
      expect.stringContaining("the chooser"),
    ]);
    for (const [, [head]] of tables) {
      expect(head).toEqual(["", "ours", "floor", "ratio", "target", ""]);
    }
    const figure: unknown = expect.stringMatching(/^[\d.,]+$/u);
    const [local, sales, cells] = tables.map(([, [, ...body]]) => body.map((row) => row.slice(1)));
    expect(local).toEqual([
      [
        expect.stringMatching(/^[\d.]+ ns$/u),
        expect.stringMatching(/^[\d.]+ ns$/u),
        expect.stringMatching(/^[\d.]+x$/u),
        "≤ 3x",
        expect.stringMatching(/^(met|short by [\d.]+ %)$/u),
      ],
    ]);
    expect(sales).toEqual([
      [figure, "–", "–", "", ""],
      ["0", "–", "–", "≤ 0", "met"],
      ["0", "–", "–", "≤ 0", "met"],
    ]);
    expect(cells?.map(([, , , target]) => target)).toEqual(["≥ 0.9x", "≥ 0.9x", "≤ 50x"]);
    // A second of virtual time is too short for the verdicts of the whole run, but not for a starved caller.
    for (const [, , ratio] of cells?.slice(0, 2) ?? []) {
      expect(Number.parseFloat(ratio ?? "")).toBeGreaterThan(0.7);
    }
    expect(Number.parseFloat(cells?.[2]?.[0] ?? "")).toBeLessThan(100);
    expect(stdout.trimEnd()).toMatch(/\n\d of 6 targets met, \d short$/u);
  },
);
