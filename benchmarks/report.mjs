/** Verdicts, and the tables that people read. */
import { cpus, loadavg, totalmem } from "node:os";
import Table from "cli-table3";

/**
 * @typedef {object} RowPlan
 * @property {string} id names the row for `--only`
 * @property {string} label what is measured
 * @property {string} unit of `ours` and `floor`: "ns", "us", "ms", "B", "/s", "x" or ""
 * @property {{ ratio?: Bound, ours?: Bound }} [target] what the issue asks; none for rows to look at
 * @property {string[]} [rivals] who else takes part, if anyone does; all of them when absent
 * @property {string} [why] what the cost is made of; printed where the target is not met
 *
 * @typedef {{ atMost?: number, below?: number, atLeast?: number }} Bound
 */

/** Whether `figures` meet the target, and by how much they fall short. */
export function judge(target, figures) {
  if (!target) return { target: null, met: null, short: null };
  const [side, bound] = Object.entries(target)[0];
  const [relation, limit] = Object.entries(bound)[0];
  const value = figures[side];
  const met =
    value === null || value === undefined
      ? null
      : { atMost: value <= limit, below: value < limit, atLeast: value >= limit }[relation];
  const short = met === false ? Math.abs(value - limit) / limit : null;
  return { target: { side, relation, limit }, met, short };
}

/** Figures with three significant digits, and thousands apart. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  const digits = Number.isInteger(value) ? 0 : 2 - Math.floor(Math.log10(Math.abs(value)));
  const [whole, part] = value.toFixed(Math.min(Math.max(digits, 0), 3)).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return part ? `${grouped}.${part}` : grouped;
}

const withUnit = (value, unit) =>
  value === null || value === undefined
    ? "–"
    : `${figure(value)}${unit && unit !== "x" ? " " : ""}${unit}`;
const ratio = (value) => (value === null || value === undefined ? "–" : `${figure(value)}x`);
const relations = { atMost: "≤", below: "<", atLeast: "≥" };

function targetText({ target, unit }) {
  if (!target) return "";
  const { side, relation, limit } = target;
  const bound = limit.toLocaleString("en");
  const suffix = side === "ratio" || unit === "x" ? "x" : unit && ` ${unit}`;
  return `${relations[relation]} ${bound}${suffix}`;
}

function verdict({ target, met, short, error, absent }) {
  if (error) return "BROKEN";
  if (absent?.ours) return "not wired";
  if (!target) return "";
  if (met) return "met";
  return `short by ${figure(short * 100)} %`;
}

/** One table for each question. `rivalNames` are in the order of the table. */
export function printTable(title, results, rivalNames = []) {
  console.log(`\n${title}`);
  const shown = rivalNames.filter((name) => results.some(({ rivals }) => rivals?.[name]));
  const table = new Table({
    head: ["", "ours", "floor", "ratio", "target", "", ...shown],
    colAligns: ["left", "right", "right", "right", "right", "left", ...shown.map(() => "right")],
    colWidths: [44],
    wordWrap: true,
    style: { head: [], border: [], compact: true },
  });
  for (const result of results) {
    const { label, unit, ours, floor, rivals = {} } = result;
    table.push([
      label,
      withUnit(ours, unit),
      withUnit(floor, unit),
      ratio(result.ratio),
      targetText(result),
      verdict(result),
      ...shown.map((name) => rivalText(name, rivals, unit)),
    ]);
  }
  console.log(table.toString());
  for (const note of notes(results)) console.log(`  ${note}`);
}

/** One operation a transaction, and in brackets a thousand in one. */
function rivalText(name, rivals, unit) {
  const single = rivals[name];
  const batched = rivals[`${name}, 1000 a transaction`];
  if (!single) return "";
  if (single.ratio === null) return withUnit(single.value, unit);
  return batched ? `${ratio(single.ratio)} (${ratio(batched.ratio)})` : ratio(single.ratio);
}

function notes(results) {
  const lines = new Set();
  for (const { id, label, error, absent, met, why } of results) {
    if (error) lines.add(`${id}: ${error}`);
    if (met === false && why) lines.add(`${label}: ${why}`);
    for (const reason of Object.values(absent ?? {})) lines.add(reason);
  }
  return lines;
}

/** What is measured on. */
export function describeMachine() {
  const cores = cpus();
  return {
    cpu: cores[0]?.model ?? "unknown",
    cores: cores.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    loadAverage: loadavg()[0],
  };
}

/** Heads all tables. */
export function printMachine({ cpu, cores, memoryGiB, platform, node, loadAverage }) {
  console.log(`${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform}, Node ${node}`);
  console.log(`load average at the start ${loadAverage.toFixed(2)}`);
}

/** How many targets there were, and how many were met. */
export function count(results, seconds) {
  const targets = results.filter(({ target }) => target);
  return {
    targets: targets.length,
    met: targets.filter(({ met }) => met === true).length,
    short: targets.filter(({ met }) => met === false).length,
    notWired: results.filter(({ absent }) => absent?.ours).length,
    broken: results.filter(({ error }) => error).length,
    seconds,
  };
}

/** The last line. */
export function sentence({ targets, met, short, notWired, broken }) {
  const rest = [`${short} short`];
  if (notWired > 0) rest.push(`${notWired} rows not wired`);
  if (broken > 0) rest.push(`${broken} rows broken`);
  return `${met} of ${targets} targets met, ${rest.join(", ")}`;
}
