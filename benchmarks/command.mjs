/** What the commands that measure on servers have in common: their options, their rows, their progress. */
import { parseArgs } from "node:util";
import { judge } from "./report.mjs";

/** The options of the command. Servers and replicas write to `TRELLIS_BENCH_DIR`, if that is set. */
export function readOptions() {
  const { TRELLIS_BENCH_DIR } = process.env;
  // They take the folder for temporary files.
  if (TRELLIS_BENCH_DIR) process.env.TMPDIR = TRELLIS_BENCH_DIR;
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
      only: { type: "string" },
    },
  });
  return { ...values, wanted: values.only?.split(",").map((name) => name.trim()) };
}

/** Those that are wanted by one of their names, or all. Ends the process at a name that nobody has. */
export function choose(entries, wanted, namesOf) {
  if (!wanted) return entries;
  const known = new Set(entries.flatMap(namesOf));
  const unknown = wanted.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    console.error(`no such row: ${unknown.join(", ")} (--list names them)`);
    process.exit(2);
  }
  return entries.filter((entry) => namesOf(entry).some((name) => wanted.includes(name)));
}

/** For `--list`. */
export function list(rows) {
  for (const { id, label } of rows) console.log(`${id.padEnd(34)}${label}`);
}

/** A row that could not be measured. */
export const broken = (base, { target }, error) => ({
  ...base,
  ...judge(target, {}),
  error: error.message,
});

/** Measures one row, within `msMax`. */
export async function answerRow(base, row, msMax, work) {
  const { id, label, unit, target, why } = row;
  const about = { ...base, id, label, unit, why };
  const startMs = performance.now();
  const seconds = () => Math.round((performance.now() - startMs) / 100) / 10;
  progress(id);
  try {
    const figures = await within(msMax, work());
    return { ...about, ...figures, ...judge(target, figures), seconds: seconds() };
  } catch (error) {
    return { ...broken(about, row, error), seconds: seconds() };
  }
}

/** Fails when `work` is not done in time. */
export async function within(ms, work) {
  let timer;
  const late = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Ends with `stop` when the process is told to end; returns how to take that back. */
export function onInterrupt(stop) {
  const end = () => void stop().finally(() => process.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, end);
  return () => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.removeListener(signal, end);
  };
}

/** What is being measured, on a terminal only. */
export function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
