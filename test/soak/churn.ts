/**
 * A soak that churns: `npm run soak:churn -- [--operations 1000000]`. A durable replica with a linked
 * peer, on a real directory: elements of sets come and go under new names, registers are written over,
 * once with little that is live and once with more. Prints how large the directory and what is kept in
 * memory are. The status is 1 if the directory ever has more than 3 times the encoded live state and
 * 16 MiB, or anything else grows.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { churn, directoryBytesMax, type Sample } from "./churned.ts";

const livesOf = (operations: number): number[] => [1_000, Math.min(100_000, operations / 20)];
const samples = 20;

const print = (line: string): void => void process.stdout.write(`${line}\n`);

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1).padStart(7);

function lineOf({ operations, ...of }: Sample): string {
  const { directoryBytes, liveBytes, memoryBytes, removalsKept, actors } = of;
  return (
    `${String(operations).padStart(9)} operations: directory ${mebibytes(directoryBytes)} MiB of ` +
    `${mebibytes(directoryBytesMax(liveBytes))}, live ${mebibytes(liveBytes)}, memory ` +
    `${mebibytes(memoryBytes)}, ${removalsKept} removals kept, ${actors} actors`
  );
}

async function run(operations: number, live: number): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "trellis-churn-"));
  print(`${live} elements and ${live} registers live, in ${directory}`);
  let most = 0;
  const onSample = (sample: Sample): void => {
    most = Math.max(most, sample.directoryBytes);
    print(lineOf(sample));
  };
  const startMs = performance.now();
  try {
    const faults = await churn({ directory, operations, live, samples, onSample });
    for (const fault of faults) print(`FAULT: ${fault}`);
    const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
    const verdict = faults.length === 0 ? "ok: flat" : `${faults.length} faults`;
    print(`${verdict}; at most ${mebibytes(most).trim()} MiB in the directory; ${seconds} s`);
    return faults.length === 0;
  } finally {
    await rm(directory, { recursive: true });
  }
}

const { values } = parseArgs({
  options: { operations: { type: "string", default: "1000000" } },
});
const operations = Number(values.operations);
if (!Number.isSafeInteger(operations) || operations < 20_000) {
  throw new Error("--operations is an integer of at least 20,000");
}
for (const live of livesOf(operations)) {
  if (!(await run(operations, live))) process.exitCode = 1;
}
