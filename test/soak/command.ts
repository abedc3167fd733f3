/** What the commands of soaks have in common: their options, and how they end. */
import { parseArgs } from "node:util";

/** How long, what follows from what, and over which locks. */
export interface SoakOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly locks: string;
}

const faultsShownMax = 20;

/** To the terminal. */
export const print = (line: string): void => void process.stdout.write(`${line}\n`);

/**
 * Reads `--seconds`, `--seed` and, where there is a choice, `--locks`.
 * @throws Error for what cannot be
 */
export function soakOptions(locks: readonly string[] = ["embedded"]): SoakOptions {
  const { values } = parseArgs({
    options: {
      locks: { type: "string", default: "embedded" },
      seconds: { type: "string", default: "600" },
      seed: { type: "string" },
    },
  });
  const seconds = Number(values.seconds);
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 32));
  if (!(seconds > 0) || !Number.isSafeInteger(seed) || !locks.includes(values.locks)) {
    const choice = locks.length > 1 ? `, --locks one of ${locks.join(", ")}` : "";
    throw new Error(`--seconds is a positive number, --seed an integer${choice}`);
  }
  return { seconds, seed, locks: values.locks };
}

/** Prints what is wrong, or `ok` with what was found; returns whether nothing is. `left`: what is kept for a look. */
export function conclude(faults: readonly string[], found: string, left: string): boolean {
  for (const fault of [...new Set(faults)].slice(0, faultsShownMax)) print(`FAULT: ${fault}`);
  print(faults.length === 0 ? `ok: ${found}` : `${faults.length} faults; ${left}`);
  return faults.length === 0;
}
