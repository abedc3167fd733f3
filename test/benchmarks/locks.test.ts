/**
 * Keeps `npm run bench:locks` from rotting: the rows that need no server, built as it builds them. What
 * they say of round trips is held here; times are for people to look at.
 */
import { expect, test } from "vitest";
import { measure } from "./measured.ts";

const rows = [
  ...["memory/cycle", "memory/combining"],
  ...["embedded/cycle-trips", "embedded/compare-and-set-trips", "embedded/hand-over-trips"],
];

test(
  "bench:locks prints a table for each question, with the round trips that are promised",
  { timeout: 120_000 },
  async () => {
    const { stdout, tables } = await measure("locks.mjs", rows);
    expect(tables.map(([heading]) => heading)).toEqual([
      expect.stringContaining("acquire + commit + release"),
      expect.stringContaining("Compare-and-set"),
      expect.stringContaining("Hand-over"),
      expect.stringContaining("48 callers"),
    ]);
    for (const [, [head]] of tables) {
      expect(head).toEqual(["", "ours", "floor", "ratio", "target", ""]);
    }
    const [cycle, set, handOver, combining] = tables.map(([, [, ...body]]) => body);
    expect(cycle).toEqual([
      ["memory, no way at all", expect.stringMatching(/^[\d.,]+ us$/u), "–", "–", "", ""],
      ["embedded, round trips", "3", "3", "–", "≤ 3", "met"],
    ]);
    expect(set).toEqual([["embedded, round trips", "1", "1", "–", "≤ 1", "met"]]);
    expect(handOver).toEqual([["embedded, round trips of both", "2", "–", "–", "≤ 2", "met"]]);
    const rate: unknown = expect.stringMatching(/^[\d.,]+ \/s$/u);
    const ratio: unknown = expect.stringMatching(/^[\d.,]+x$/u);
    expect(combining).toEqual([["memory, no way at all", rate, rate, ratio, "", ""]]);
    expect(stdout.trimEnd()).toMatch(/\n3 of 3 targets met, 0 short$/u);
  },
);
