/** `npm run simulate -- --seeds N [--first K]`, or `-- --seed K` for one. Exits 1 if a seed fails. */
import { parseArgs } from "node:util";
import { simulate } from "./cluster.ts";

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

const first = wholeNumber("seed", values.seed ?? values.first);
const seeds = values.seed === undefined ? wholeNumber("seeds", values.seeds) : 1;
let failures = 0;
for (let seed = first; seed < first + seeds; seed++) {
  try {
    await simulate(seed);
  } catch (error) {
    failures++;
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    if (values.seed !== undefined && error instanceof Error && error.cause instanceof Error) {
      process.stderr.write(`${error.cause.stack}\n`);
    }
  }
}
process.stdout.write(`${seeds} seeds, ${failures} failures\n`);
process.exitCode = failures === 0 ? 0 : 1;
