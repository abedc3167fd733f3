/**
 * The script of the page: it shows what is chosen, and draws the charts that are seen. It is inlined as it is built, so
 * it imports nothing but types.
 */
import type { ChartLibrary, Drawn, Page, PageElement } from "../../../page/browser.ts";
import type { ChartSpec, LinesChart, RowsChart } from "./chart.ts";

declare const document: Page;
declare const Chart: ChartLibrary;
declare const getComputedStyle: (element: PageElement) => {
  readonly fontFamily: string;
  readonly getPropertyValue: (name: string) => string;
};
declare const matchMedia: (query: string) => Pick<PageElement, "addEventListener"> & {
  readonly matches: boolean;
};

const drawn = new Map<PageElement, Drawn>();
const dark = matchMedia("(prefers-color-scheme: dark)");

function drawAllSeen(): void {
  for (const plot of document.querySelectorAll("figure")) {
    const canvas = plot.querySelector("canvas");
    const text = plot.querySelector("script.chart")?.textContent;
    if (canvas === null || typeof text !== "string") continue;
    // What is hidden has no size.
    if (canvas.offsetParent === null || drawn.has(canvas)) continue;
    const spec = JSON.parse(text) as ChartSpec;
    drawn.set(canvas, new Chart(canvas, spec.kind === "lines" ? lines(spec) : rows(spec)));
  }
}

/** In each section the panels are shown whose words are the values of its radio buttons. */
function choose(section: PageElement): void {
  const chosen = [...section.querySelectorAll("input:checked")].map(({ value }) => value).join(" ");
  for (const panel of section.querySelectorAll(".panel")) {
    panel.hidden = panel.dataset["when"] !== chosen;
  }
}

const style = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const shown = (value: number): string =>
  value > 0 && value < 0.001
    ? "<0.001"
    : value.toLocaleString("en", { maximumSignificantDigits: 3 });

const short = (value: number): string =>
  value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });

/** The first of a family is the strongest; the others are lighter and darker. */
function colourOf(family: string, variant = 0, opacity = 1): string {
  const lightness = dark.matches ? [62, 80, 45, 70] : [42, 64, 26, 54];
  return `hsl(${style(`--${family}`)} ${lightness[variant % lightness.length] ?? 50}% / ${opacity})`;
}

/** Red stripes: whoever does not tell colours apart sees that rules were broken, too. */
function stripes(): unknown {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 8;
  const pen = tile.getContext("2d");
  if (pen === null) return style("--broken");
  pen.strokeStyle = style("--broken");
  pen.lineWidth = 2.5;
  for (const from of [-8, 0, 8]) {
    pen.beginPath();
    pen.moveTo(from, 8);
    pen.lineTo(from + 8, 0);
    pen.stroke();
  }
  return pen.createPattern(tile, "repeat");
}

/** Writes each value at the end of its bar, so that nobody has to guess on a logarithmic axis. */
const notes = {
  id: "notes",
  afterDatasetsDraw(chart: Drawn): void {
    const { ctx, data } = chart;
    ctx.fillStyle = style("--text");
    ctx.font = `11px ${getComputedStyle(document.documentElement).fontFamily}`;
    ctx.textBaseline = "middle";
    for (const [index, { notes: texts = [] }] of data.datasets.entries()) {
      const { data: ends, hidden } = chart.getDatasetMeta(index);
      if (hidden) continue;
      for (const [row, { x, y }] of ends.entries()) ctx.fillText(texts[row] ?? "", x + 5, y);
    }
  },
};

/** Of the first, the second and the third series of a row. */
const opacities = [1, 0.5, 0.2];
const marks = ["circle", "rectRot", "triangle", "rect"];

function rows(spec: RowsChart): object {
  const { kind, rows: all, series, unit, isLogarithmic } = spec;
  const isBars = kind === "bars";
  const datasets = series.map((_, index) => (isBars ? bars(spec, index) : spans(spec, index)));
  return {
    type: "bar",
    data: {
      labels: all.map(({ label }) => label),
      datasets: isBars ? datasets : [...datasets, between(series)],
    },
    plugins: isBars ? [notes] : [],
    options: {
      indexAxis: "y",
      responsive: true,
      maintainAspectRatio: false,
      layout: { padding: { right: isBars ? widthOfNotes(series) : 12 } },
      scales: {
        x: { ...axis(isLogarithmic), title: { display: true, text: unit }, ...startOf(spec) },
        y: { type: "category", grid: { display: false }, ticks: rowTicks(all) },
      },
      plugins: {
        legend: {
          display: series.length > 1,
          labels: { ...legendLabels, generateLabels: () => seriesLabels(spec) },
        },
        tooltip: { callbacks: { label: tooltip("x") } },
      },
    },
  };
}

/** Of the longest that may stand beside the longest bar, in pixels. */
const widthOfNotes = (series: RowsChart["series"]): number =>
  Math.max(
    ...series.flatMap(({ values }) => values.map((value) => shown(value ?? 0).length * 6.5 + 12)),
  );

function bars({ rows: all, series }: RowsChart, index: number): object {
  const { label = "", values = [] } = series[index] ?? {};
  const colours = (opacity: number): readonly string[] =>
    all.map(({ family }) => colourOf(family, 0, opacity));
  const fill = colours(opacities[index] ?? 1);
  const pale = colours(opacities[1] ?? 1);
  const fillOf = (row: number): string | undefined =>
    series.length === 1 && all[row]?.isPale === true ? pale[row] : fill[row];
  return {
    label,
    data: values,
    backgroundColor: all.map(({ broken }, row) => (broken > 0 ? stripes() : fillOf(row))),
    borderColor: colours(1).map((colour, row) => (isBroken(all, row) ? style("--broken") : colour)),
    borderWidth: 1,
    barPercentage: 0.9,
    notes: values.map((value) => (value === null ? "" : shown(value))),
  };
}

function spans({ rows: all, series }: RowsChart, index: number): object {
  const { label = "", values = [] } = series[index] ?? {};
  const colours = all.map(({ family }, row) =>
    isBroken(all, row) ? style("--broken") : colourOf(family),
  );
  return {
    type: "line",
    label,
    data: values.map((x, row) => ({ x, y: all[row]?.label })),
    showLine: false,
    pointBackgroundColor: index === 0 ? colours : style("--page"),
    pointBorderColor: colours,
    pointBorderWidth: 2,
    pointStyle: marks[index],
    pointRadius: 5,
  };
}

const isBroken = (all: RowsChart["rows"], row: number): boolean => (all[row]?.broken ?? 0) > 0;

const legendLabels = { usePointStyle: true, boxWidth: 8, boxHeight: 8, padding: 12 };

/** Colours are those of the families, so the legend of the series has none. */
const seriesLabels = ({ kind, series }: RowsChart): readonly object[] =>
  series.map(({ label }, index) => ({
    text: label,
    datasetIndex: index,
    fontColor: style("--muted"),
    strokeStyle: style("--muted"),
    lineWidth: 1.5,
    pointStyle: kind === "bars" ? "rect" : marks[index],
    fillStyle: `color-mix(in srgb, ${style("--muted")} ${100 * (kind === "bars" ? (opacities[index] ?? 1) : Number(index === 0))}%, transparent)`,
  }));

/** From the first mark to the last. */
const between = (series: RowsChart["series"]): object => ({
  label: "",
  data: (series[0]?.values ?? []).map((_, row) => {
    const all = series.map(({ values }) => values[row] ?? null).filter((each) => each !== null);
    return all.length === 0 ? null : [Math.min(...all), Math.max(...all)];
  }),
  backgroundColor: style("--line"),
  barThickness: 3,
});

/** Names of rows, each, and in red how many rules were broken. */
const rowTicks = (all: RowsChart["rows"]): object => ({
  autoSkip: false,
  color: all.map(({ broken }) => (broken > 0 ? style("--broken") : style("--text"))),
  callback: (_: unknown, index: number): string | readonly string[] => {
    const { label = "", broken = 0 } = all[index] ?? {};
    return broken > 0 ? [label, `✗ ${broken.toLocaleString("en")} broken`] : label;
  },
});

const tooltip =
  (direction: "x" | "y") =>
  ({
    dataset,
    parsed,
  }: {
    readonly dataset: { readonly label: string };
    readonly parsed: Readonly<Record<"x" | "y", number>>;
  }): string =>
    dataset.label === "" ? "" : `${dataset.label}: ${shown(parsed[direction])}`;

interface Scale {
  ticks: readonly { readonly value: number }[];
}

const axis = (isLogarithmic: boolean): object => ({
  type: isLogarithmic ? "logarithmic" : "linear",
  ticks: { maxRotation: 0, autoSkipPadding: 12, callback: (value: number) => short(value) },
  grid: { color: style("--grid") },
  ...(isLogarithmic ? { afterBuildTicks: thinOut } : {}),
});

/** Leaves the powers of ten, and nothing between them, if that is enough to read by. */
function thinOut(scale: Scale): void {
  const decades = scale.ticks.filter(({ value }) => Number.isInteger(Math.log10(value)));
  const steps = scale.ticks.filter(({ value }) => /^[125]/u.test(value.toExponential()));
  scale.ticks = decades.length > 2 ? decades : steps;
}

/** A logarithmic axis would begin at the shortest bar, which then has no length. */
function startOf({ isLogarithmic, series }: RowsChart): object {
  const values = series.flatMap((each) => each.values).filter((each) => each !== null && each > 0);
  return isLogarithmic && values.length > 0
    ? { suggestedMin: Math.min(...values.map(Number)) / 2 }
    : { beginAtZero: true };
}

function lines({ series, settings, xTitle, yTitle }: LinesChart): object {
  const dashes = [[], [6, 3], [2, 2], [10, 3, 2, 3]];
  return {
    type: settings === undefined ? "scatter" : "line",
    data: {
      ...(settings === undefined ? {} : { labels: settings }),
      datasets: series.map(({ label, family, variant, points }) => ({
        label,
        data: points,
        showLine: true,
        borderColor: colourOf(family, variant),
        backgroundColor: colourOf(family, variant),
        borderDash: dashes[variant % dashes.length],
        pointStyle: marks[variant % marks.length],
        pointRadius: 4,
        borderWidth: 2,
      })),
    },
    options: {
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "nearest", intersect: false },
      scales: {
        x: {
          ...(settings === undefined ? axis(true) : { type: "category", grid: { display: false } }),
          title: { display: true, text: xTitle },
        },
        y: { ...axis(true), title: { display: true, text: yTitle } },
      },
      plugins: {
        legend: { position: "bottom", labels: { ...legendLabels, padding: 8 } },
        tooltip: { callbacks: { label: tooltip("y") } },
      },
    },
  };
}

function useColours(): void {
  Chart.defaults.color = style("--muted");
  Chart.defaults.borderColor = style("--grid");
  Chart.defaults.animation = false;
  Chart.defaults.font.family = getComputedStyle(document.documentElement).fontFamily;
  Chart.defaults.font.size = 12;
}

/** What the whole page was made from. */
function saveResults(): void {
  const link = document.createElement("a");
  const text = document.querySelector("#results")?.textContent?.trim() ?? "";
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = "results.json";
  link.click();
}

for (const section of document.querySelectorAll("section")) {
  choose(section);
  for (const input of section.querySelectorAll("input")) {
    input.addEventListener("change", () => {
      choose(section);
      drawAllSeen();
    });
  }
}
// Wide tables would make the page of a phone long, and its charts have the most important numbers.
if (matchMedia("(max-width: 600px)").matches) {
  for (const folded of document.querySelectorAll("details")) folded.open = false;
}
dark.addEventListener("change", () => {
  for (const chart of drawn.values()) chart.destroy();
  drawn.clear();
  useColours();
  drawAllSeen();
});
document.querySelector("#save")?.addEventListener("click", saveResults);
useColours();
drawAllSeen();
