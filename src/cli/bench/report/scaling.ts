/** How costs grow with size. */
import type { Results, ScalingResult } from "../results.ts";
import { figure, variants } from "./chart.ts";
import { dataTable, details, type Html, html } from "../../../page/html.ts";
import { significant } from "./numbers.ts";

/** One chart for each question and unit, with the slopes in its legend. */
export function scalingSection(results: Results): Html {
  const head = html`<h2>How costs grow</h2>`;
  if (results.scaling.length === 0) {
    return html`<section id="scaling">
      ${head}
      <p>Questions of scale are not part of the ${results.profile} profile.</p>
    </section>`;
  }
  const charts = new Map<string, ScalingResult[]>();
  for (const each of results.scaling) {
    const of = `${each.name}: ${each.yLabel}`;
    charts.set(of, [...(charts.get(of) ?? []), each]);
  }
  return html`<section id="scaling">
    ${head}
    <p>
      Both axes are logarithmic. The slope is that of the line through the points: 0 means that the
      cost stays, 1 that it grows as its cause does, 2 with the square.
    </p>
    <div class="pair">${[...charts].map(([title, all]) => scalingFigure(title, all, results))}</div>
  </section>`;
}

function scalingFigure(
  title: string,
  all: readonly ScalingResult[],
  { strategies }: Results,
): Html {
  const [first] = all;
  if (first === undefined) return html``;
  const series = all.map((each) => ({ ...each, family: familyOf(each.strategy, strategies) }));
  return html`<div>
    ${figure({
      title,
      note: html`<p>${[...new Set(all.map(({ method }) => method))].join(" ")}</p>`,
      chart: {
        kind: "lines",
        xTitle: first.xLabel,
        yTitle: first.yLabel,
        series: variants(series).map(({ strategy, family, variant, slope, points }) => ({
          label: `${strategy}: slope ${slope.toFixed(2)}`,
          family,
          variant,
          // Zero has no place on a logarithmic axis.
          points: points.filter(({ x, y }) => x > 0 && y > 0),
        })),
      },
    })}${details("Each point, and how it was measured", everyPoint(all))}
  </div>`;
}

const everyPoint = (all: readonly ScalingResult[]): Html =>
  dataTable(
    "Points",
    [{ text: "strategy" }, "x", "y", { text: "how" }],
    all.flatMap(({ strategy, points }) =>
      points.map(({ x, y, how }) => [strategy, significant(x), significant(y), how]),
    ),
  );

/** Rivals that are no strategies are what state is merged with elsewhere. */
function familyOf(name: string, strategies: Results["strategies"]) {
  if (/^trellis/iu.test(name)) return "trellis";
  return strategies.find((each) => each.name === name)?.family ?? "replicated";
}
