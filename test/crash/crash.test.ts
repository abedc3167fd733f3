/** Crashes at some hundred points; `npm run crash` is the long one. And what is planted is found out. */
import { expect, test } from "vitest";
import { CrashTally } from "./tally.ts";
import { crashRun } from "./cluster.ts";
import { plantedFaults } from "./sabotages.ts";

const pointsMax = 200;
/** A fault that so many points do not find is one that the runs cannot see. */
const pointsToFind = 1_000;

test("whoever crashes at a write or a message comes back with what it promised, and all agree", async () => {
  const failures: string[] = [];
  const tally = new CrashTally({ pointsMax, onFailure: (reason) => failures.push(reason) });
  for (let seed = 1; !tally.isDone; seed++) await tally.run(seed);
  expect(failures).toEqual([]);
  expect(tally.points).toBe(pointsMax);
  expect(tally.missing).toEqual([]);
}, 120_000);

test.each(plantedFaults)(
  "the crashes find out $name",
  async ({ sabotage, notices, firstSeed = 1 }) => {
    const failures: string[] = [];
    const tally = new CrashTally({
      pointsMax: pointsToFind,
      onFailure: (reason) => failures.push(reason),
      sabotage,
    });
    for (let seed = firstSeed; !tally.isDone && failures.length === 0; seed++) {
      await tally.run(seed);
    }
    expect(failures[0]).toMatch(/^npm run crash -- --seed \d+/u);
    expect(failures.join("\n")).toMatch(notices);
  },
  120_000,
);

test("a point is reached in the same way each time, to the message", async () => {
  const lines: string[][] = [[], []];
  for (const log of lines) await crashRun(5, { point: 40, log: (line) => log.push(line) });
  expect(lines[0]).toEqual(lines[1]);
  expect(lines[0]?.join("\n")).toMatch(/crashes: /u);
});
