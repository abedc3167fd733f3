/** What a run shows on a terminal. The page has more. */
import { table } from "../table.ts";
import { faultWords } from "./report/faults.ts";
import { count, counted, minuteOf, significant } from "./report/numbers.ts";
import { baseOf, placeOf, workloadsOf } from "./report/select.ts";
import { unsteadyOf } from "./report/trust.ts";
import { verdictLines } from "./report/verdict.ts";
import { agreementMax, type Cell, type Results } from "./results.ts";
import { type WorkloadName, workloadOf } from "./workload.ts";

/** Longest text of somebody else's on one line. */
const lengthMax = 96;

/** Tables and sentences, at most about 100 columns wide. */
export function printed(results: Results): string {
  return [
    ...workloadsOf(results).flatMap((name) => costLines(results, name)),
    ...faultLines(results),
    ...scalingLines(results),
    ...missingLines(results),
    ...trustLines(results),
    ...verdictLines(results),
  ].join("\n");
}

function costLines(results: Results, name: WorkloadName): readonly string[] {
  const rows = baseOf(results, name);
  const [first] = rows;
  if (first === undefined) return [];
  const isOther = ({ isDurable }: Cell): boolean => isDurable !== results.base.isDurable;
  const head = ["strategy", "ops/s", `× ${results.yardstick}`, "p50 ms", "p99 ms", "trips"];
  return [
    `${workloadOf(name).title} (${placeOf({ ...first.cell, ...results.base })})`,
    table(
      [...head, "bytes", "violations"],
      rows.map(({ cell, strategy, measures, ratio }) => [
        isOther(cell) ? `${strategy.name} *` : strategy.name,
        significant(measures.perSecond),
        significant(ratio),
        significant(measures.latency?.p50Ms),
        significant(measures.latency?.p99Ms),
        significant(measures.roundTripsPerOperation),
        significant(measures.bytesPerOperation),
        count(measures.violations.total),
      ]),
    ),
    ...(rows.some(({ cell }) => isOther(cell))
      ? [`* ${results.base.isDurable ? "in memory" : "durable"} only`]
      : []),
    "",
  ];
}

function faultLines({ faults }: Results): readonly string[] {
  if (faults.length === 0) return [];
  const measured = faults.filter(({ error }) => error === undefined);
  return [
    "faults: operations a second and node, before and meanwhile, and the longest silence",
    table(
      ["strategy", "fault", "before", "others", "the cut", "silence ms", "failed", "violations"],
      measured.map((each) => [
        each.strategy,
        each.fault,
        significant(each.perSecondBefore),
        significant(each.perSecondOfOthers),
        significant(each.perSecondOfTheCut),
        significant(each.longestSilenceMs),
        count(each.failed),
        count(each.violations.total),
      ]),
    ),
    "",
  ];
}

function scalingLines({ scaling }: Results): readonly string[] {
  if (scaling.length === 0) return [];
  return [
    "scale: how costs grow; 0 is constant, 1 proportional",
    table(
      ["question", "strategy", "cost", "slope"],
      scaling.map(({ name, strategy, yLabel, slope }) => [
        name,
        strategy,
        yLabel,
        slope.toFixed(2),
      ]),
    ),
    "",
  ];
}

function missingLines({ strategies, cells, faults }: Results): readonly string[] {
  return [
    ...strategies.flatMap(({ name, skipped }) =>
      skipped === undefined ? [] : [`skipped: ${name}: ${skipped}`],
    ),
    ...cells.flatMap((cell) =>
      cell.error === undefined
        ? []
        : [`no result: ${cell.strategy}, ${cell.workload}: ${cell.error} (${placeOf(cell)})`],
    ),
    ...faults.flatMap(({ strategy, workload, fault, error }) =>
      error === undefined
        ? []
        : [`no result: ${strategy}, ${workload}, ${faultWords[fault]}: ${error}`],
    ),
  ].map(shortened);
}

function trustLines(results: Results): readonly string[] {
  const unsteady = unsteadyOf(results).length;
  return [
    ...(unsteady === 0 ? [] : [`Unsteady: ${counted(unsteady, "cell")}; the page names them.`]),
    ...agreementLines(results),
  ];
}

function agreementLines({ agreement, yardstick }: Results): readonly string[] {
  if (agreement === undefined) return [];
  const { apart, compared, startedAt } = agreement;
  return [
    `Of ${counted(compared, "ratio")} to ${yardstick}, ${count(compared - apart.length)} are within ${agreementMax * 100} % of the run of ${minuteOf(startedAt)}.`,
    ...apart.map(({ cell, before, now }) =>
      shortened(
        `apart: ${cell.strategy}, ${cell.workload}: ${significant(before)} before, ${significant(now)} now (${placeOf(cell)})`,
      ),
    ),
  ];
}

/** On one line, without anything that a terminal would obey. */
function shortened(text: string): string {
  const clean = text.replaceAll(/\p{C}/gu, " ");
  return clean.length > lengthMax ? `${clean.slice(0, lengthMax - 1)}…` : clean;
}
