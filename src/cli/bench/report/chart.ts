/** Charts as the page is given them: what to draw, for `draw.ts` in the browser, and the same as a table. */
import { dataTable, details, embedded, type Html, html } from "../../../page/html.ts";
import { significant } from "./numbers.ts";
import type { Strategy } from "../strategy.ts";

/** Bars or marks in rows, one row for each strategy. */
export interface RowsChart {
  /** `spans`: a mark for each series, and a line through them. */
  readonly kind: "bars" | "spans";
  readonly unit: string;
  readonly isLogarithmic: boolean;
  readonly rows: readonly {
    readonly label: string;
    readonly family: Strategy["family"];
    /** Rules that it broke. */
    readonly broken: number;
    /** What is not kept as the others keep it. */
    readonly isPale?: boolean;
  }[];
  /** One alone is coloured by the families of its rows. */
  readonly series: readonly {
    readonly label: string;
    readonly values: readonly (number | null)[];
  }[];
}

/** Lines, one for each strategy. */
export interface LinesChart {
  readonly kind: "lines";
  readonly xTitle: string;
  readonly yTitle: string;
  /** Settings, evenly apart; without them x is a number on a logarithmic axis. */
  readonly settings?: readonly string[];
  readonly series: readonly {
    readonly label: string;
    readonly family: Strategy["family"];
    /** Which one of its family it is, from 0. */
    readonly variant: number;
    readonly points: readonly { readonly x: number | string; readonly y: number }[];
  }[];
}

/** One chart. */
export type ChartSpec = RowsChart | LinesChart;

/** A chart with its title, and a table that says the same. */
export interface FigureOptions {
  readonly title: string;
  readonly chart: ChartSpec;
  /** Under the title. */
  readonly note?: Html;
  /** Instead of the table that is made of the chart; it is open. */
  readonly table?: Html;
}

const rowPx = 26;
const marginsPx = 74;
const linesPx = 340;

/** A chart, and its table for those who cannot or do not want to see it. */
export function figure({ title, chart, note, table }: FigureOptions): Html {
  const heightPx =
    chart.kind === "lines" ? linesPx : chart.rows.length * heightOf(chart) + marginsPx;
  return html`<figure>
    <figcaption>
      <h3>${title}</h3>
      ${note ?? []}
    </figcaption>
    <div class="plot" style="height: ${heightPx}px">
      <canvas role="img" aria-label="${title}; the table below has the numbers"></canvas>
    </div>
    <script type="application/json" class="chart">
      ${embedded(chart)}
    </script>
    ${details(table === undefined ? "Numbers of this chart" : "All that was measured", table ?? tableOf(title, chart), table !== undefined)}
  </figure>`;
}

const heightOf = ({ kind, series }: RowsChart): number =>
  kind === "spans" ? rowPx : Math.max(rowPx, series.length * 12 + 8);

function tableOf(title: string, chart: ChartSpec): Html {
  if (chart.kind === "lines") return tableOfLines(title, chart);
  return dataTable(
    title,
    [{ text: "strategy" }, ...chart.series.map(({ label }) => `${label}, ${chart.unit}`)],
    chart.rows.map(({ label }, row) => [
      label,
      ...chart.series.map(({ values }) => significant(values[row])),
    ]),
  );
}

function tableOfLines(title: string, { series, settings, xTitle }: LinesChart): Html {
  const columns =
    settings ??
    [...new Set(series.flatMap(({ points }) => points.map(({ x }) => Number(x))))].toSorted(
      (left, right) => left - right,
    );
  return dataTable(
    title,
    [{ text: xTitle }, ...columns.map((x) => (typeof x === "number" ? significant(x) : x))],
    series.map(({ label, points }) => [
      label,
      ...columns.map((x) => significant(points.find((point) => point.x === x)?.y)),
    ]),
  );
}

/** Numbers those of one family, so that their lines differ. */
export function variants<T extends { readonly family: Strategy["family"] }>(
  all: readonly T[],
): readonly (T & { readonly variant: number })[] {
  const seen = new Map<string, number>();
  return all.map((each) => {
    const variant = seen.get(each.family) ?? 0;
    seen.set(each.family, variant + 1);
    return { ...each, variant };
  });
}
