/** `npm run escrow -- --seeds N --operations M [--first K]`, or `-- --seed K` for one. Exits 1 if a seed fails. */
import { parseArgs } from "node:util";
import { simulateRights } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "20" },
    operations: { type: "string", default: "10000" },
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

const operations = wholeNumber("operations", values.operations);
const first = wholeNumber("first", values.seed ?? values.first);
const seeds = values.seed === undefined ? wholeNumber("seeds", values.seeds) : 1;
const counts: Record<string, number> = {};
let failures = 0;
for (let seed = first; seed < first + seeds; seed++) {
  const outcome = await simulateRights({ seed, operations });
  for (const [what, times] of Object.entries(outcome.counts)) {
    counts[what] = (counts[what] ?? 0) + times;
  }
  if (outcome.faults.length > 0) failures++;
  for (const fault of outcome.faults) process.stderr.write(`seed ${seed}: ${fault}\n`);
  if (process.stderr.isTTY) process.stderr.write(`${seed - first + 1} of ${seeds} seeds\n`);
}
const saw = Object.entries(counts).map(([what, times]) => `${what} ${times}`);
process.stdout.write(`runs that saw ${saw.join(", ")}\n`);
process.stdout.write(`${seeds} seeds of ${operations} operations, ${failures} failures\n`);
process.exitCode = failures === 0 ? 0 : 1;
