/** `npm run simulate:redlock -- --seeds N [--first K]`. Prints what was seen, and exits 1 if a seed fails. */
import { parseArgs } from "node:util";
import { type RedlockFlaw, redlockFlaws, simulateRedlock } from "./simulation/redlock-run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    first: { type: "string", default: "1" },
    flaw: { type: "string" },
  },
});

/** @throws RangeError for anything but a whole number from 1 on. */
function wholeNumber(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new RangeError(`--${name} is ${text}, not a whole number from 1 on`);
}

/** @throws RangeError for one that is not known. */
function flawOf(text: string | undefined): RedlockFlaw | undefined {
  const flaw = redlockFlaws.find((one) => one === text);
  if (text !== undefined && flaw === undefined) {
    throw new RangeError(`--flaw is ${text}, not one of: ${redlockFlaws.join(", ")}`);
  }
  return flaw;
}

// Most of the errors are told to nobody who would look where they come from.
Error.stackTraceLimit = 0;
const first = wholeNumber("first", values.first);
const seeds = wholeNumber("seeds", values.seeds);
const flaw = flawOf(values.flaw);
const progressEvery = Math.max(100, Math.floor(seeds / 20));
const seen = new Map<string, number>();
let failures = 0;
for (let seed = first; seed < first + seeds; seed++) {
  const { faults, counts } = await simulateRedlock(seed, flaw);
  for (const [what, times] of Object.entries(counts)) seen.set(what, (seen.get(what) ?? 0) + times);
  if (faults.length > 0) {
    failures++;
    process.stderr.write(`seed ${seed}: ${faults.slice(0, 5).join("; ")}\n`);
  }
  const done = seed - first + 1;
  if (done % progressEvery === 0) process.stderr.write(`${done} of ${seeds} seeds\n`);
}
const sights = [...seen].map(([what, times]) => `${times} ${what}`);
process.stdout.write(`${sights.join(", ")}\n`);
process.stdout.write(`${seeds} seeds, ${failures} failures\n`);
process.exitCode = failures === 0 ? 0 : 1;
