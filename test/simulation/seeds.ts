/** Runs seeds in a test: none may fail, and together they must see all that there is to see. */
import { describe, expect, test } from "vitest";
import { Coverage } from "./coverage.ts";
import { simulate } from "./scenario.ts";

/** Seeds of one test, which takes a few seconds, or more on a machine that is busy. */
const seedsPerTest = 50;
const timeout = 120_000;

/** Declares the tests of the seeds from `first` on. `npm run simulate -- --seeds 100000` runs more. */
export function testSeeds(first: number, seeds: number): void {
  describe(`clusters under the seeds from ${first} on`, () => {
    const coverage = new Coverage();
    const starts = Array.from({ length: seeds / seedsPerTest }, (_, i) => first + i * seedsPerTest);
    test.each(starts)("end as the specification says, from %d on", { timeout }, async (start) => {
      const failures: string[] = [];
      for (let seed = start; seed < start + seedsPerTest; seed++) {
        try {
          coverage.add((await simulate(seed)).sightings);
        } catch (error) {
          failures.push(error instanceof Error ? error.message : String(error));
        }
      }
      expect(failures).toEqual([]);
    });
    test("take all the paths that they are there for", () => {
      expect(coverage.missing).toEqual([]);
    });
  });
}
