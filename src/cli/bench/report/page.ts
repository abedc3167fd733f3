/** The report: one HTML file, which asks nobody for anything. */
import { readFileSync } from "node:fs";
import type { Results } from "../results.ts";
import { costSection } from "./cost.ts";
import { faultsSection } from "./faults.ts";
import { chartLibrary } from "../../../page/chart-library.ts";
import { dataTable, details, embedded, type Html, html, program } from "../../../page/html.ts";
import { minuteOf, significant } from "./numbers.ts";
import { scalingSection } from "./scaling.ts";
import { css } from "./style.ts";
import { sweepsSection } from "./sweeps.ts";
import { trustSection } from "./trust.ts";
import { brokenOf, verdictLines } from "./verdict.ts";

const policy =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:";

/** The page for `results`. It works from what is built: its script is read there. */
export function reportPage(results: Results): string {
  const draw = readFileSync(new URL("draw.js", import.meta.url), "utf8");
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>Trellis bench: ${results.profile}, ${dayOf(results)}</title>
        <style>
          ${{ html: css }}
        </style>
      </head>
      <body>
        ${header(results)}
        <main>
          ${costSection(results)}${sweepsSection(results)}${faultsSection(results)}${scalingSection(results)}${trustSection(results)}
        </main>
        <script type="application/json" id="results">
          ${embedded(results)}
        </script>
        <script>
          ${program(chartLibrary())};
        </script>
        <script type="module">
          ${program(draw)};
        </script>
      </body>
    </html> `.html;
}

const dayOf = ({ startedAt }: Results): string => startedAt.slice(0, 10);

function header(results: Results): Html {
  const isBad = brokenOf(results).some(({ strategy }) => strategy.isStrawman !== true);
  const [took = "", ...rules] = verdictLines(results);
  return html`<header>
    <h1>What sharing state costs</h1>
    <p class="lead">
      trellis-state ${results.trellis}, <b>${results.profile}</b> profile,
      <time datetime="${results.startedAt}">${minuteOf(results.startedAt)}</time
      ><br />${machineLine(results)}
    </p>
    <div class="verdict ${isBad ? "bad" : "good"}">
      <p>${took}</p>
      ${rules.map((line) => html`<p><b>${line}</b></p>`)}
    </div>
    <nav aria-label="Sections">
      <a href="#cost">Cost</a><a href="#sweeps">What costs more</a><a href="#faults">Faults</a
      ><a href="#scaling">Scale</a><a href="#trust">Trust</a>
    </nav>
    ${details("What was run, and on what", facts(results))}
    ${details("The strategies, and what an answer of theirs survives", strategies(results))}
  </header>`;
}

const machineLine = ({ machine, seed }: Results): string =>
  [
    `${machine.processors} × ${machine.cpu}`,
    machine.platform,
    `Node.js ${machine.node}`,
    `load average ${machine.loadAverageBefore.toFixed(2)} before and ${machine.loadAverageAfter.toFixed(2)} after`,
    `seed ${seed}`,
  ].join(", ");

function facts({ machine, servers, clock }: Results): Html {
  const rows: readonly (readonly [string, string])[] = [
    ["Memory", `${significant(machine.memoryGiB)} GiB`],
    ["Disk", machine.disk],
    [
      "Clock of the open load",
      `p50 ${significant(clock.p50Ms)} ms, p99 ${significant(clock.p99Ms)} ms`,
    ],
    ...Object.entries(servers).map(([kind, how]) => [`Server: ${kind}`, how] as const),
    [
      "Versions",
      Object.entries(machine.versions)
        .map((pair) => pair.join(" "))
        .join(", "),
    ],
  ];
  return html`<dl>
    ${rows.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

const strategies = (results: Results): Html =>
  dataTable(
    "Strategies",
    ["strategy", "family", "what it does", "durable: survives in", "otherwise: survives in"].map(
      (text) => ({ text }),
    ),
    results.strategies.map((each) => [
      each.name,
      each.family,
      `${each.title}${each.isStrawman ? " (strawman: breaks rules by its nature)" : ""}${each.skipped === undefined ? "" : " (skipped)"}`,
      each.durable ?? "–",
      each.volatile ?? "–",
    ]),
  );
