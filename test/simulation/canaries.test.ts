import { expect, test } from "vitest";
import { canaries } from "./canaries.ts";
import { simulate } from "./scenario.ts";

/** A fault that so many seeds do not find is one that the simulation cannot see. */
const seedsMax = 40;

test.each(canaries)(
  "the simulation finds out $name",
  { timeout: 120_000 },
  async ({ notices, seams }) => {
    const reasons: string[] = [];
    for (let seed = 1; seed <= seedsMax && reasons.length === 0; seed++) {
      try {
        await simulate(seed, { seams: seams() });
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    }
    expect(reasons.join()).toMatch(/^npm run simulate -- --seed \d+\n/u);
    expect(reasons.join()).toMatch(notices);
  },
);

test("a seed alone runs as it did among others, to the byte", async () => {
  const [alone, again] = [await simulate(seedsMax), await simulate(seedsMax)];
  expect(again.hash).toBe(alone.hash);
  const other = await simulate(seedsMax + 1);
  expect(other.hash).not.toBe(alone.hash);
});
