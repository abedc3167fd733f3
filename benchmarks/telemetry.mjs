/**
 * `npm run bench:telemetry`: what the figures cost. Everyone does the same work in one process, in turns, each
 * round starting with another; what is compared is CPU time, in the rounds that were disturbed least. Each row
 * runs in several processes, with another first in each. The floor is a replica without telemetry; "again" is
 * a second one of these: what it shows beside 1 is noise.
 *
 *   --quick      a third of the work: for a look, not for a verdict
 *   --only ROW   rows whose name has this in it
 *   --json       one JSON document
 *
 * TRELLIS_BEFORE names the `dist` of another build, to be compared without telemetry as well:
 *
 *   git worktree add ../before COMMIT && (cd ../before && npm ci && npm run build)
 *   TRELLIS_BEFORE=../before/dist npm run bench:telemetry
 */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { inFreshProcess } from "./crdt/fresh-process.mjs";
import { median } from "./crdt/measure.mjs";
import { figure } from "./report.mjs";
import { rows } from "./telemetry/rows.mjs";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});
const { TRELLIS_BEFORE } = process.env;
const rounds = options.quick ? 20 : 60;
const readKeys = 100_000;
const deadlineMs = 300_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const module = new URL("./telemetry/contest.mjs", import.meta.url).href;
const dist = join(root, "dist");
const builds = new Map([
  ["silent", dist],
  ["again", dist],
  ...(TRELLIS_BEFORE ? [["before", TRELLIS_BEFORE]] : []),
  ["prometheus", dist],
  ["opentelemetry", dist],
]);
const names = [...builds.keys()];

const scratch = mkdtempSync(join(tmpdir(), "trellis-bench-"));
try {
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
  for (const [name, build] of builds) {
    cpSync(build, join(scratch, name, "dist"), { recursive: true });
    cpSync(join(root, "package.json"), join(scratch, name, "package.json"));
  }
  await run();
} finally {
  rmSync(scratch, { recursive: true });
}

async function run() {
  const load = loadavg()[0].toFixed(2);
  const results = [];
  for (const { name } of rows.filter((row) => row.name.includes(options.only))) {
    results.push(await measure(name));
  }
  const readings = {};
  for (const name of ["prometheus", "opentelemetry"]) {
    const input = { scratch, name, keys: readKeys };
    readings[name] = await inFreshProcess({ module, call: "reading", input, deadlineMs });
  }
  if (options.json) console.log(JSON.stringify({ rounds, results, readings }));
  else print(results, readings, load);
}

/** The row in as many processes as there are contestants, each with another one first. */
async function measure(row) {
  const costs = [];
  for (let first = 0; first < names.length; first++) {
    const order = [...names.slice(first), ...names.slice(0, first)];
    const input = { scratch, names: order, row, rounds };
    costs.push(await inFreshProcess({ module, call: "contest", input, deadlineMs }));
  }
  const ratios = names.map((name) => {
    const all = costs.map((cost) => cost[name] / cost.silent);
    return [name, { ratio: median(all), low: Math.min(...all), high: Math.max(...all) }];
  });
  return {
    row,
    ns: median(costs.map(({ silent }) => silent)),
    ratios: Object.fromEntries(ratios),
  };
}

function print(results, readings, load) {
  const [cpu] = cpus();
  console.log(`${cpu?.model}, ${cpus().length} cores, load ${load}`);
  console.log(`${rounds} rounds in each of ${names.length} processes`);
  console.log("CPU time of one operation, and times as much as without telemetry:");
  console.log("median of the processes (least to most)\n");
  const others = names.filter((name) => name !== "silent");
  const table = new Table({
    head: ["", "silent", ...others],
    style: { head: [], border: [], compact: true },
  });
  for (const { row, ns, ratios } of results) {
    const cells = others.map((name) => {
      const { ratio, low, high } = ratios[name];
      return `${ratio.toFixed(3)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
    });
    table.push([row, `${figure(ns)} ns`, ...cells]);
  }
  console.log(table.toString());
  const read = Object.entries(readings).map(([name, ms]) => `${name} ${figure(ms)} ms`);
  console.log(`\nOne reading of a replica with ${readKeys} keys: ${read.join(", ")}`);
}
