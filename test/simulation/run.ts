/** `npm run simulate -- --seeds N [--first K]`, or `-- --seed K` for one, told in full. Exits 1 if a seed fails. */
import { parseArgs } from "node:util";
import { Coverage } from "./coverage.ts";
import { simulate } from "./scenario.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    first: { type: "string", default: "1" },
    seed: { type: "string" },
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

const isOne = values.seed !== undefined;
const first = wholeNumber("seed", values.seed ?? values.first);
const seeds = isOne ? 1 : wholeNumber("seeds", values.seeds);
const progressEvery = Math.max(100, Math.floor(seeds / 20));
const coverage = new Coverage();
let failures = 0;
for (let seed = first; seed < first + seeds; seed++) {
  try {
    const { sightings } = await simulate(seed, isOne ? { log: tell } : {});
    coverage.add(sightings);
  } catch (error) {
    failures++;
    tell(error instanceof Error ? error.message : String(error));
    if (isOne && error instanceof Error && error.cause instanceof Error) {
      tell(String(error.cause.stack));
    }
  }
  const done = seed - first + 1;
  if (done % progressEvery === 0 && process.stderr.isTTY) tell(`${done} of ${seeds} seeds`);
}
process.stdout.write(`runs that saw ${coverage.text}\n`);
process.stdout.write(`${seeds} seeds, ${failures} failures\n`);
process.exitCode = failures === 0 ? 0 : 1;
