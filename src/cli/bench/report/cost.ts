/** What coordination costs: each workload at the base, each strategy. */
import type { Measures, Results } from "../results.ts";
import { type WorkloadName, workloadOf } from "../workload.ts";
import { type FigureOptions, figure, type RowsChart } from "./chart.ts";
import { panel, picker } from "./choice.ts";
import { dataTable, type Html, html } from "../../../page/html.ts";
import { count, none, significant } from "./numbers.ts";
import { baseOf, type Measured, placeOf, workloadsOf } from "./select.ts";
import { kindsOf } from "./verdict.ts";

/** The first section, whose first chart is the one of the README. */
export function costSection(results: Results): Html {
  const sizeOf = (name: WorkloadName): number => baseOf(results, name).length;
  // The one with the plainest rule stands first, then those that say most.
  const rank = (name: WorkloadName): number => (name === "stock" ? Infinity : sizeOf(name));
  const names = workloadsOf(results)
    .filter((name) => sizeOf(name) > 0)
    .toSorted((left, right) => rank(right) - rank(left));
  const place = placeOf({ ...results.base, strategy: "", workload: "likes", keys: 0 });
  const options = names.map((name) => ({ value: name, label: name }));
  return html`<section id="cost">
    <h2>What coordination costs</h2>
    <p>
      Every strategy at the same place: ${place}. What cannot be durable, or not otherwise, is shown
      as it is.
    </p>
    ${names.length === 0 ? html`<p>Nothing was measured there.</p>` : picker({ legend: "Workload", name: "cost-workload", options })}
    ${names.map((name) => panel([name], workloadPanel(results, name)))}
  </section>`;
}

function workloadPanel(results: Results, name: WorkloadName): Html {
  const { title, rule } = workloadOf(name);
  const rows = baseOf(results, name);
  return html`<p><b>${title}.</b> What must hold: ${rule}.</p>
    ${figure(throughput(results, name, rows))}
    <div class="pair">${latency(name, rows)}${trips(name, rows)}</div>`;
}

function rowsOf(all: readonly Measured[]): RowsChart["rows"] {
  const isKept = all.some(({ cell }) => cell.isDurable);
  return all.map(({ cell, strategy, measures }) => ({
    label: strategy.name,
    family: strategy.family,
    broken: measures.violations.total,
    isPale: isKept && !cell.isDurable,
  }));
}

const families: readonly (readonly [name: string, words: string])[] = [
  ["trellis", "Trellis"],
  ["lock", "locks"],
  ["atomic", "atomic commands"],
  ["replicated", "replicated, without limits"],
  ["baseline", "baselines"],
];

/** Only what is on the chart. */
function legend(all: readonly Measured[]): Html {
  const entries = [
    ...families.filter(([name]) => all.some(({ strategy }) => strategy.family === name)),
    ...(rowsOf(all).some(({ isPale }) => isPale)
      ? [["pale", "pale: in memory only"] as const]
      : []),
    ...(all.some(({ measures }) => measures.violations.total > 0)
      ? [["broken", "broke rules"] as const]
      : []),
  ];
  return html`<ul class="legend">
    ${entries.map(([name, words]) => html`<li class="${name}">${words}</li>`)}
  </ul>`;
}

const throughput = (
  results: Results,
  name: WorkloadName,
  all: readonly Measured[],
): FigureOptions => ({
  title: `Operations a second: ${name}`,
  note: legend(all),
  chart: {
    kind: "bars",
    unit: "operations/s, logarithmic",
    isLogarithmic: true,
    rows: rowsOf(all),
    series: [{ label: "operations/s", values: all.map(({ measures }) => measures.perSecond) }],
  },
  table: html`${measuresTable(results, name, all)}${glossary(results)}`,
});

function latency(name: WorkloadName, all: readonly Measured[]): Html {
  const rows = all
    .filter(({ measures }) => measures.latency !== undefined)
    .toSorted((left, right) => p99Of(left.measures) - p99Of(right.measures));
  if (rows.length === 0) {
    return html`<div>
      <h3>Latency: ${name}</h3>
      <p>Only throughput was asked for in this profile.</p>
    </div>`;
  }
  const values = (of: "p50Ms" | "p99Ms" | "p999Ms"): readonly (number | null)[] =>
    rows.map(({ measures }) => measures.latency?.[of] ?? null);
  return figure({
    title: `Latency: ${name}`,
    note: html`<p>
      Of an open load: from when an operation was due until it was answered, waiting included.
    </p>`,
    chart: {
      kind: "spans",
      unit: "ms, logarithmic",
      isLogarithmic: true,
      rows: rowsOf(rows),
      series: [
        { label: "p50", values: values("p50Ms") },
        { label: "p99", values: values("p99Ms") },
        { label: "p99.9", values: values("p999Ms") },
      ],
    },
  });
}

const p99Of = ({ latency: found }: Measures): number => found?.p99Ms ?? Number.POSITIVE_INFINITY;

function trips(name: WorkloadName, all: readonly Measured[]): Html {
  const rows = all.toSorted(
    (left, right) => left.measures.roundTripsAlone - right.measures.roundTripsAlone,
  );
  const values = (of: "roundTripsAlone" | "roundTripsPerOperation"): readonly number[] =>
    rows.map(({ measures }) => measures[of]);
  return figure({
    title: `Round trips an operation: ${name}`,
    note: html`<p>
      Counted on the network; under load, operations of several callers may share one.
    </p>`,
    chart: {
      kind: "bars",
      unit: "round trips",
      isLogarithmic: false,
      rows: rowsOf(rows),
      series: [
        { label: "one caller alone", values: values("roundTripsAlone") },
        { label: "under load", values: values("roundTripsPerOperation") },
      ],
    },
  });
}

function measuresTable({ yardstick }: Results, name: WorkloadName, all: readonly Measured[]): Html {
  const isRead = all.some(({ measures: { staleness } }) => staleness !== undefined);
  const head = [
    ...[{ text: "strategy" }, { text: "kept" }, "ops/s", `× ${yardstick}`, "rules broken"],
    ...["p50 ms", "p99 ms", "p99.9 ms", "trips alone", "trips/op", "bytes/op"],
    ...["CPU µs/op, nodes", "CPU µs/op, servers", "refused, yet affordable"],
    ...["failed", ...(isRead ? ["stale p50 ms", "stale p99 ms"] : [])],
  ];
  return dataTable(
    `All that was measured: ${name}`,
    head,
    all.map(({ cell, strategy, measures, ratio }) => [
      ...[strategy.name, cell.isDurable ? "durably" : "in memory"],
      ...[significant(measures.perSecond), significant(ratio), brokenCell(measures.violations)],
      ...[measures.latency?.p50Ms, measures.latency?.p99Ms, measures.latency?.p999Ms].map(
        significant,
      ),
      significant(measures.roundTripsAlone),
      significant(measures.roundTripsPerOperation),
      significant(measures.bytesPerOperation),
      significant(measures.nodeCpuPerOperation),
      significant(measures.serverCpuPerOperation),
      count(measures.affordableRefusals),
      count(measures.failed),
      ...(isRead ? [measures.staleness?.p50Ms, measures.staleness?.p99Ms].map(significant) : []),
    ]),
  );
}

/** How many rules were broken, and which; in red if any. */
export const brokenCell = (violations: Measures["violations"]): Html =>
  violations.total === 0
    ? html`0`
    : html`<b class="bad">${count(violations.total)}</b> <small>${kindsOf(violations)}</small>`;

const glossary = ({ yardstick, clock }: Results): Html =>
  html`<p>
    <small>
      × ${yardstick}: throughput over that of ${yardstick} in the same cell. ${none}: not measured.
      Refused, yet affordable: answers of “there is not enough” while all nodes together certainly
      had enough. Stale: for how long something newer had been acknowledged when an older value was
      read. Latencies include the clock's own ${significant(clock.p50Ms)} ms at p50 and
      ${significant(clock.p99Ms)} ms at p99.</small
    >
  </p>`;
