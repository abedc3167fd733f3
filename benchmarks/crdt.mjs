/**
 * `npm run bench:crdt`: every figure of "How fast", ours beside the plain floor, Yjs and Loro.
 *
 *   --json           one JSON document instead of tables
 *   --only ROW,…     rows by id, or questions by file name
 *   --quick          smaller work, under two minutes; for a look, not for a verdict
 *   --list           the rows there are
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { rivalNames } from "./crdt/contestants.mjs";
import { inFreshProcess } from "./crdt/fresh-process.mjs";
import { count, describeMachine, judge, printMachine, printTable, sentence } from "./report.mjs";

const questions = [
  "local-operations",
  "apply",
  "clock",
  "memory",
  "size",
  "load",
  "catch-up",
  "loopback",
];
/** A row that takes longer is broken; generous, since others may be using the machine. */
const deadlineMs = 900_000;

const { values: options } = parseArgs({
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    only: { type: "string" },
  },
});

const chosen = await choose(options.only?.split(",").map((name) => name.trim()));
if (options.list) list(chosen);
else await run(chosen);

/** The questions with the rows that were asked for. */
async function choose(wanted) {
  const all = [];
  for (const question of questions) {
    const module = new URL(`./crdt/${question}.mjs`, import.meta.url).href;
    const { title, rows } = await import(module);
    all.push({ question, module, title, rows });
  }
  if (!wanted) return all;
  const known = new Set(
    all.flatMap(({ question, rows }) => [question, ...rows.map((row) => row.id)]),
  );
  const unknown = wanted.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    console.error(`no such row: ${unknown.join(", ")} (--list names them)`);
    process.exit(2);
  }
  return all
    .map((entry) => ({
      ...entry,
      rows: entry.rows.filter((row) => wanted.includes(entry.question) || wanted.includes(row.id)),
    }))
    .filter(({ rows }) => rows.length > 0);
}

function list(entries) {
  for (const { question, rows } of entries) {
    for (const { id, label } of rows) console.log(`${question.padEnd(18)}${id.padEnd(24)}${label}`);
  }
}

async function run(entries) {
  const startedMs = performance.now();
  const machine = describeMachine();
  const scratch = mkdtempSync(join(tmpdir(), "trellis-bench-"));
  const context = { quick: options.quick, scratch };
  const results = [];
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.once(signal, () => {
      rmSync(scratch, { recursive: true, force: true });
      process.exit(1);
    });
  }
  if (!options.json) printHead(machine);
  try {
    for (const entry of entries) {
      const answered = [];
      for (const row of entry.rows) answered.push(await answer(entry, row.id, context));
      results.push(...answered);
      if (!options.json) printTable(entry.title, answered, rivalNames);
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  const summary = count(results, (performance.now() - startedMs) / 1_000);
  const loadAfter = loadavg()[0];
  if (options.json) {
    console.log(
      JSON.stringify({ machine, loadAfter, quick: options.quick, rows: results, summary }),
    );
  } else {
    console.log(
      `\nload average at the end ${loadAfter.toFixed(2)}, ${Math.round(summary.seconds)} s`,
    );
    console.log(sentence(summary));
  }
  if (summary.broken > 0) process.exitCode = 1;
}

/** One row, in a process of its own. */
async function answer({ question, module, rows }, id, context) {
  const { label, unit, target, why } = rows.find((row) => row.id === id);
  const base = { question, id, label, unit, why };
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 100) / 10;
  progress(id);
  try {
    const figures = await inFreshProcess({
      module: new URL("./crdt/answer.mjs", import.meta.url).href,
      call: "answer",
      input: { module, id, context },
      deadlineMs,
    });
    return { ...base, ...figures, ...judge(target, figures), seconds: seconds() };
  } catch (error) {
    return { ...base, ...judge(target, {}), error: error.message, seconds: seconds() };
  } finally {
    progress("");
  }
}

/** What is being measured, on a terminal only. */
function progress(id) {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${id}`);
}

function printHead(machine) {
  printMachine(machine);
  console.log("Ratios are to the plain floor of the same row; for rivals too, in brackets with");
  console.log("1,000 operations in one transaction. How each was used: benchmarks/README.md");
  if (options.quick) console.log("--quick: less work, more noise; not for a verdict.");
}
