/** Lines over the last ten minutes. The list under each is its legend, and says the latest figures as text. */
import type { ChartLibrary, Drawn, PageElement } from "../../page/browser.ts";
import { drawing, element, part, say } from "./elements.ts";
import { clockOffset, furthest, historyMs, lagBatches, lagMs, type Point } from "./history.ts";
import { clipped, lasting, short, signed, traffic } from "./wording.ts";

declare const Chart: ChartLibrary;
declare const document: { readonly documentElement: PageElement };
declare const getComputedStyle: (element: PageElement) => {
  readonly fontFamily: string;
  readonly getPropertyValue: (name: string) => string;
};

/** One line: the name of its figure, and of itself. */
interface Line {
  readonly figure: string;
  readonly label: string;
}

/** One chart of the page. */
interface ChartSpec {
  /** The element that it is drawn into. */
  readonly id: string;
  readonly title: string;
  readonly shown: (value: number) => string;
  readonly lines: (points: readonly Point[], nameOf: (id: string) => string) => readonly Line[];
  /** What is not known is a gap, unless it means that nothing happened. */
  readonly isSparse?: boolean;
}

/** Lines that are drawn for peers: those that were furthest behind. */
const peerLinesMax = 6;

const fixed =
  (...lines: readonly Line[]) =>
  (): readonly Line[] =>
    lines;

const ofPeers =
  (prefix: string): ChartSpec["lines"] =>
  (points, nameOf) =>
    furthest(points, prefix, peerLinesMax).map((figure) => ({
      figure,
      label: nameOf(figure.slice(prefix.length)),
    }));

const perSecond = (value: number): string => `${short(value)}/s`;

const specs: readonly ChartSpec[] = [
  {
    ...{ id: "chart-changes", title: "Changes a second", shown: perSecond },
    lines: fixed(
      { figure: "changes-local", label: "made here" },
      { figure: "changes-remote", label: "from peers" },
    ),
  },
  {
    ...{ id: "chart-bytes", title: "Bytes a second", shown: (value) => `${traffic(value)}/s` },
    lines: fixed({ figure: "bytesOut", label: "sent" }, { figure: "bytesIn", label: "received" }),
  },
  {
    ...{ id: "chart-lag-batches", title: "Batches that a peer lacks", shown: short },
    lines: ofPeers(lagBatches),
  },
  {
    ...{ id: "chart-lag-ms", title: "Oldest frame on the way", shown: lasting },
    lines: ofPeers(lagMs),
  },
  {
    ...{ id: "chart-locks", title: "Locks: mean wait and hold", shown: lasting, isSparse: true },
    lines: fixed({ figure: "wait-ms", label: "wait" }, { figure: "hold-ms", label: "hold" }),
  },
  {
    ...{ id: "chart-trouble", title: "Conflicts, timeouts and losses a second", shown: perSecond },
    lines: fixed(
      { figure: "conflicts", label: "updates overtaken" },
      { figure: "timeouts", label: "locks not granted" },
      { figure: "losses", label: "leases lost" },
    ),
  },
  {
    ...{ id: "chart-frames", title: "Frames and batches a second", shown: perSecond },
    lines: fixed(
      { figure: "framesOut", label: "frames sent" },
      { figure: "framesIn", label: "frames received" },
      { figure: "batches-local", label: "batches made" },
      { figure: "batches-remote", label: "batches taken in" },
    ),
  },
  {
    ...{ id: "chart-clocks", title: "Clocks of peers, ahead of ours", shown: signed },
    lines: ofPeers(clockOffset),
  },
];

/** Not by colour alone. */
const dashes: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 4], [12, 4]];

const custom = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Draws all charts, and again with each new point. */
export class Charts {
  readonly #drawn = new Map<string, Drawn>();
  /** Which lines each chart has, as text. */
  readonly #lines = new Map<string, string>();

  /** Everything anew, in the present colours. */
  restyle(points: readonly Point[], nameOf: (id: string) => string): void {
    for (const drawn of this.#drawn.values()) drawn.destroy();
    this.#drawn.clear();
    this.#lines.clear();
    this.draw(points, nameOf);
  }

  draw(points: readonly Point[], nameOf: (id: string) => string): void {
    Chart.defaults.animation = false;
    Chart.defaults.color = custom("--muted");
    Chart.defaults.borderColor = custom("--grid");
    Chart.defaults.font.family = getComputedStyle(document.documentElement).fontFamily;
    for (const spec of specs) this.#chart(spec, points, nameOf);
  }

  #chart(spec: ChartSpec, points: readonly Point[], nameOf: (id: string) => string): void {
    const place = part(spec.id);
    const canvas = place.querySelector("canvas");
    const legend = place.querySelector("ul");
    if (canvas === null || legend === null) return;
    const lines = spec.lines(points, nameOf);
    const seconds = windowOf(points);
    const name = JSON.stringify([seconds, lines]);
    const endMs = points.at(-1)?.atMs ?? 0;
    const datasets = lines.map((line, at) => dataset(spec, line, at, points, endMs));
    const known = this.#drawn.get(spec.id);
    if (known && this.#lines.get(spec.id) === name) {
      for (const [at, { data }] of datasets.entries()) {
        const target = known.data.datasets[at];
        if (target) Object.assign(target, { data });
      }
      known.update("none");
    } else {
      known?.destroy();
      this.#drawn.set(spec.id, new Chart(canvas, configuration(spec, datasets, seconds)));
      this.#lines.set(spec.id, name);
      legend.replaceChildren(...lines.map(legendItem));
    }
    const texts = lines.map((line) => latest(spec, line, points));
    for (const [at, item] of [...legend.querySelectorAll("b")].entries())
      say(item, texts[at] ?? "");
    const said = lines.map(({ label }, at) => `${label} ${texts[at] ?? ""}`).join(", ");
    canvas.setAttribute("aria-label", `${spec.title}, now: ${said || "nothing yet"}`);
  }
}

function latest(
  { shown, isSparse }: ChartSpec,
  { figure }: Line,
  points: readonly Point[],
): string {
  const known =
    isSparse === true ? points.findLast(({ figures }) => figures.has(figure)) : points.at(-1);
  const value = known?.figures.get(figure);
  return value === undefined ? "–" : shown(value);
}

function legendItem({ label }: Line, at: number): PageElement {
  const line = drawing("line", { x1: 0, y1: 5, x2: 26, y2: 5, class: `line line-${at}` });
  if ((dashes[at] ?? []).length > 0)
    line.setAttribute("stroke-dasharray", (dashes[at] ?? []).join(" "));
  const swatch = drawing("svg", { width: 26, height: 10, "aria-hidden": "true" }, line);
  return element("li", {}, swatch, element("span", {}, clipped(label, 28)), element("b"));
}

interface Dataset extends Readonly<Record<string, unknown>> {
  readonly data: readonly { readonly x: number; readonly y: number | null }[];
}

function dataset(
  { isSparse }: ChartSpec,
  { figure, label }: Line,
  at: number,
  points: readonly Point[],
  endMs: number,
): Dataset {
  const all = points.map(({ atMs, figures }) => ({
    x: (atMs - endMs) / 1_000,
    y: figures.get(figure) ?? null,
  }));
  return {
    label,
    data: isSparse === true ? all.filter(({ y }) => y !== null) : all,
    borderColor: custom(`--line-${at}`),
    backgroundColor: custom(`--line-${at}`),
    borderDash: dashes[at] ?? [],
    borderWidth: 2,
    pointRadius: isSparse === true ? 1.5 : 0,
    pointHitRadius: 8,
    stepped: false,
  };
}

/** How far back is drawn, in s: as far as is known, at least a minute. */
const windows = [60, 120, 300, historyMs / 1_000] as const;

function windowOf(points: readonly Point[]): number {
  const knownMs = (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0);
  return windows.find((seconds) => seconds * 1_000 >= knownMs) ?? historyMs / 1_000;
}

const agoTick = (seconds: number): string => {
  if (seconds === 0) return "now";
  return seconds % 60 === 0 ? `−${-seconds / 60} min` : `−${-seconds} s`;
};

const configuration = (
  { shown }: ChartSpec,
  datasets: readonly Dataset[],
  seconds: number,
): object => ({
  type: "line",
  data: { datasets },
  options: {
    responsive: true,
    maintainAspectRatio: false,
    parsing: false,
    normalized: true,
    interaction: { mode: "nearest", axis: "x", intersect: false },
    scales: {
      x: {
        type: "linear",
        min: -seconds,
        max: 0,
        grid: { display: false },
        ticks: {
          stepSize: seconds / 4,
          maxRotation: 0,
          callback: agoTick,
        },
      },
      y: {
        suggestedMin: 0,
        suggestedMax: 1,
        ticks: { maxTicksLimit: 5, callback: (value: number): string => shown(value) },
      },
    },
    plugins: {
      legend: { display: false },
      tooltip: {
        callbacks: {
          title: ([item]: readonly { readonly parsed: { readonly x: number } }[]): string =>
            item === undefined ? "" : `${lasting(Math.abs(item.parsed.x) * 1_000)} ago`,
          label: (item: {
            readonly dataset: { readonly label: string };
            readonly parsed: { readonly y: number };
          }): string => ` ${item.dataset.label}: ${shown(item.parsed.y)}`,
        },
      },
    },
  },
});
