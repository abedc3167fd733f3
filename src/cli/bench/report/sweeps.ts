/** What contention, callers, nodes, distance and durability cost: one thing at a time is varied. */
import type { Axis, Cell, Measures, Results } from "../results.ts";
import type { WorkloadName } from "../workload.ts";
import { figure, type LinesChart, variants } from "./chart.ts";
import { panel, picker } from "./choice.ts";
import { type Html, html } from "../../../page/html.ts";
import { along, type Measured, workloadsOf } from "./select.ts";

const lineAxes = ["zipf", "callers", "nodes", "roundTripMs"] as const satisfies readonly Axis[];

const words: Readonly<Record<(typeof lineAxes)[number], { title: string; x: string }>> = {
  zipf: { title: "Contention", x: "exponent of the keys' popularity (zipf); 0: all alike" },
  callers: { title: "Callers", x: "callers of all nodes together" },
  nodes: { title: "Nodes", x: "nodes" },
  roundTripMs: { title: "Distance", x: "round trip, ms, as set" },
};

interface Measure {
  readonly value: string;
  readonly label: string;
  readonly unit: string;
  readonly of: (measures: Measures) => number | undefined;
}

const measures: readonly Measure[] = [
  {
    value: "perSecond",
    label: "operations/s",
    unit: "operations/s",
    of: ({ perSecond }) => perSecond,
  },
  { value: "p99", label: "p99 latency", unit: "p99, ms", of: ({ latency }) => latency?.p99Ms },
];

/** Lines along each axis, and durable beside not durable. */
export function sweepsSection(results: Results): Html {
  const sizeOf = (name: WorkloadName): number =>
    [...lineAxes, "isDurable" as const].reduce(
      (sum, axis) => sum + along(results, name, axis).size,
      0,
    );
  // The one that says most stands first.
  const names = workloadsOf(results)
    .filter((name) => sizeOf(name) > 0)
    .toSorted((left, right) => sizeOf(right) - sizeOf(left));
  const head = html`<h2>What makes it cost more</h2>`;
  if (names.length === 0) {
    return html`<section id="sweeps">
      ${head}
      <p>
        Contention, callers, nodes, distance and durability were not varied: they are not part of
        the ${results.profile} profile.
      </p>
    </section>`;
  }
  const workloads = {
    ...{ legend: "Workload", name: "sweeps-workload" },
    options: names.map((value) => ({ value, label: value })),
  };
  return html`<section id="sweeps">
    ${head}
    <p>
      One thing at a time is varied from the same place; settings stand evenly apart, whatever their
      values.
    </p>
    ${picker(workloads)}${picker({ legend: "Measure", name: "sweeps-measure", options: measures })}
    ${names.flatMap((name) => measures.map((measure) => panel([name, measure.value], charts(results, name, measure))))}
  </section>`;
}

function charts(results: Results, name: WorkloadName, measure: Measure): Html {
  const figures = lineAxes.flatMap((axis) => linesFigure(results, name, axis, measure));
  const durable = durableFigure(results, name, measure);
  return figures.length + durable.length === 0
    ? html`<p>This was not measured for ${name} in the ${results.profile} profile.</p>`
    : html`<div class="pair">${figures}</div>
        ${durable}`;
}

function linesFigure(
  results: Results,
  name: WorkloadName,
  axis: (typeof lineAxes)[number],
  measure: Measure,
): readonly Html[] {
  const cells = [...along(results, name, axis).values()].map((all) =>
    all.filter((each) => positive(measure, each) !== null),
  );
  const found = cells.filter((all) => all.length > 1);
  if (found.length === 0) return [];
  const values = [...new Set(found.flat().map(({ cell }) => cell[axis]))].toSorted((a, b) => a - b);
  const labelOf = (value: number): string =>
    value === results.base[axis] ? `${value} (base)` : String(value);
  const { title, x } = words[axis];
  const chart: LinesChart = {
    kind: "lines",
    xTitle: x,
    yTitle: measure.unit,
    settings: values.map(labelOf),
    series: variants(found.flatMap(([first]) => (first === undefined ? [] : [first.strategy]))).map(
      ({ name: label, family, variant }) => ({
        label,
        family,
        variant,
        points: pointsOf(
          found.find(([first]) => first?.cell.strategy === label) ?? [],
          measure,
          ({ [axis]: value }) => labelOf(value),
          (left, right) => left[axis] - right[axis],
        ),
      }),
    ),
  };
  return [figure({ title: `${title}: ${name}, ${measure.label}`, chart })];
}

function pointsOf(
  all: readonly Measured[],
  measure: Measure,
  xOf: (cell: Cell) => string,
  order: (left: Cell, right: Cell) => number,
): LinesChart["series"][number]["points"] {
  return all
    .toSorted((left, right) => order(left.cell, right.cell))
    .flatMap((each) => {
      const y = positive(measure, each);
      return y === null ? [] : [{ x: xOf(each.cell), y }];
    });
}

/** Zero has no place on a logarithmic axis. */
function positive({ of }: Measure, { measures: all }: Measured): number | null {
  const value = of(all);
  return value === undefined || value <= 0 ? null : value;
}

function durableFigure(results: Results, name: WorkloadName, measure: Measure): readonly Html[] {
  const pairs = [...along(results, name, "isDurable").values()].flatMap((all) => {
    const [kept, memory] = [true, false].map((is) => all.find(({ cell }) => cell.isDurable === is));
    return kept === undefined || memory === undefined ? [] : [{ kept, memory }];
  });
  if (pairs.every(({ kept }) => positive(measure, kept) === null)) return [];
  const rows = pairs.toSorted(
    (left, right) => (positive(measure, right.kept) ?? 0) - (positive(measure, left.kept) ?? 0),
  );
  return [
    figure({
      title: `Durability: ${name}, ${measure.label}`,
      chart: {
        kind: "bars",
        unit: `${measure.unit}, logarithmic`,
        isLogarithmic: true,
        rows: rows.map(({ kept, memory: { measures: loose } }) => ({
          label: kept.strategy.name,
          family: kept.strategy.family,
          broken: kept.measures.violations.total + loose.violations.total,
        })),
        series: [
          { label: "durable", values: rows.map(({ kept }) => positive(measure, kept)) },
          { label: "in memory", values: rows.map(({ memory }) => positive(measure, memory)) },
        ],
      },
    }),
  ];
}
