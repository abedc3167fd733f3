/**
 * Keeps `npm run bench:documents` from rotting: one of each kind has one turn with a short trace. That the second
 * client has all that the first one wrote is what the command itself waits for; times are for people to look at.
 */
import { expect, test } from "vitest";
import { measureWith } from "./measured.ts";

test(
  "bench:documents replays a trace through a peer and through the servers of its clients, and prints a table for each library",
  { timeout: 120_000 },
  async () => {
    const { stdout, tables } = await measureWith("documents.mjs", [
      ...["--rounds", "1", "--edits", "200"],
      ...["--only", "trellis-yjs-stored,trellis-automerge-stored"],
    ]);
    expect(tables.map(([heading]) => heading)).toEqual([
      expect.stringMatching(/^Yjs: 200 edits that come to [\d,]+ characters$/u),
      expect.stringMatching(/^Automerge: 200 edits that come to [\d,]+ characters$/u),
    ]);
    const rate: unknown = expect.stringMatching(/^[\d,]+$/u);
    const ratio: unknown = expect.stringMatching(/^[\d.]+x \([\d.]+-[\d.]+\)$/u);
    for (const [, [, ...rows]] of tables) {
      for (const [label, ...cells] of rows) {
        expect([label, ...cells.slice(0, 2)]).toEqual([label, rate, ratio]);
      }
    }
    expect(tables.map(([, rows]) => rows.length - 1)).toEqual([2, 2]);
    expect(stdout.trimEnd()).toMatch(/\n\d of 2 rows of Trellis at 0\.8x or more$/u);
  },
);
