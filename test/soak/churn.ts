/**
 * A soak that churns: `npm run soak:churn -- [--operations 1000000]`. A durable replica with a linked
 * peer, on a real directory: elements of sets come and go under new names, registers are written over,
 * once with little that is live and once with more. Prints how large the directory and what is kept in
 * memory are. Then 500 restarts on one directory, each with a write. The status is 1 if a directory ever
 * has more than 3 times the encoded live state and 16 MiB, anything else grows, or a restart leaves more
 * than its actor.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { levelStorage } from "../../src/store/storage/level.ts";
import { lookInto, restart } from "../storage/restarting.ts";
import { bytesIn } from "./directory.ts";
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

/** Prints what the store has now and then. */
async function restarts(count: number): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "trellis-restarts-"));
  const storage = levelStorage(directory);
  let isGood = true;
  print(`${count} restarts that write, in ${directory}`);
  try {
    for (let at = 0; at < count; at++) {
      await restart(storage, at);
      if ((at + 1) % (count / 5) > 0) continue;
      const { count: records, bytes } = await lookInto(storage);
      const { actor, ...others } = records;
      isGood &&= actor === at + 1 && others.node === 4 && others.meta === 1;
      const size = mebibytes(await bytesIn(directory)).trim();
      print(
        `${at + 1} restarts: ${JSON.stringify(records)}, ${bytes} bytes, directory ${size} MiB`,
      );
    }
  } finally {
    await rm(directory, { recursive: true });
  }
  print(isGood ? "ok: an actor for each, and nothing else" : "FAULT: more than an actor for each");
  return isGood;
}

const { values } = parseArgs({
  options: {
    operations: { type: "string", default: "1000000" },
    restarts: { type: "string", default: "500" },
  },
});
const operations = Number(values.operations);
if (!Number.isSafeInteger(operations) || operations < 20_000) {
  throw new Error("--operations is an integer of at least 20,000");
}
for (const live of livesOf(operations)) {
  if (!(await run(operations, live))) process.exitCode = 1;
}
if (!(await restarts(Number(values.restarts)))) process.exitCode = 1;
