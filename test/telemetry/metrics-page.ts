/** The tables of docs/metrics.md, made of the catalogue. */
import { catalogue, type Metric, type MetricSource } from "../../src/telemetry/catalogue.ts";

const sources: readonly MetricSource[] = ["replica", "edge", "http"];

const row = ({ name, kind, unit, labels, help }: Metric): string[] => [
  `\`${name}\``,
  kind,
  unit,
  labels.map((label) => `\`${label}\``).join(", "),
  help.replaceAll("|", "\\|"),
];

/** Columns as the formatter lines them up. */
function table(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, i) => Math.max(3, ...rows.map((cells) => (cells[i] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = line(widths.map((width) => "-".repeat(width)));
  const [first = "", ...rest] = rows.map(line);
  return [first, rule, ...rest].join("\n");
}

/** The page with its tables as the catalogue has them now. */
export function withTable(page: string): string {
  let made = page;
  for (const source of sources) {
    const rows = catalogue.filter((metric) => metric.source === source).map(row);
    const content = table([["Name", "Kind", "Unit", "Labels", "What it says"], ...rows]);
    const [begin, end] = [`<!-- metrics: ${source} -->`, `<!-- end: ${source} -->`];
    const from = made.indexOf(begin);
    const to = made.indexOf(end);
    if (from < 0 || to < from) throw new Error(`the page has no place for ${source}`);
    made = `${made.slice(0, from + begin.length)}\n\n${content}\n\n${made.slice(to)}`;
  }
  return made;
}
