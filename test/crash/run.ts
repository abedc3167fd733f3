/**
 * `npm run crash -- [--points 10000] [--first 1]`: crashes replicas at every point of one seed after
 * the other, until there were so many. `-- --seed S --point K` is one of them, told in full. Exits 1
 * if any fails.
 */
import { parseArgs } from "node:util";
import { crashRun } from "./cluster.ts";
import { CrashTally } from "./tally.ts";

const { values } = parseArgs({
  options: {
    points: { type: "string", default: "10000" },
    first: { type: "string", default: "1" },
    seed: { type: "string" },
    point: { type: "string" },
  },
});

/** @throws RangeError for anything but a whole number from 1 on. */
function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new RangeError(`--${name} is ${text}, not a whole number from 1 on`);
}

const tell = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

async function one(seed: number, point: number | undefined): Promise<boolean> {
  try {
    const outcome = await crashRun(seed, { point, log: tell });
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
    return true;
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
    if (error instanceof Error && error.cause instanceof Error) tell(String(error.cause.stack));
    return false;
  }
}

async function all(first: number, points: number): Promise<boolean> {
  const tally = new CrashTally({ pointsMax: points, onFailure: tell });
  for (let seed = first; !tally.isDone; seed++) {
    await tally.run(seed);
    if (process.stderr.isTTY) tell(`${tally.points} of ${points} points`);
  }
  process.stdout.write(`${tally.text}\n`);
  return tally.failures === 0;
}

const isGood =
  values.seed === undefined
    ? await all(wholeNumber("first", values.first), wholeNumber("points", values.points))
    : await one(
        wholeNumber("seed", values.seed),
        values.point === undefined ? undefined : wholeNumber("point", values.point),
      );
process.exitCode = isGood ? 0 : 1;
