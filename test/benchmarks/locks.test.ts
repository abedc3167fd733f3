/**
 * Keeps `npm run bench:locks` from rotting: the rows that need no server, built as it builds them. What
 * they say of round trips is held here; times are for people to look at.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tablesIn } from "./tables.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

const rows = [
  ...["memory/cycle", "memory/combining"],
  ...["embedded/cycle-trips", "embedded/compare-and-set-trips", "embedded/hand-over-trips"],
];

test(
  "bench:locks prints a table for each question, with the round trips that are promised",
  { timeout: 120_000 },
  async () => {
    const build = ["-p", "tsconfig.simulation.json", "--outDir", "dist-simulation/bench"];
    await run("node_modules/.bin/tsc", build, { cwd: root });
    const args = ["benchmarks/locks.mjs", "--quick", "--only", rows.join(",")];
    const { stdout } = await run(process.execPath, args, { cwd: root });
    const tables = [...tablesIn(stdout)];
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
