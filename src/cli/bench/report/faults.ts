/** How strategies take it when something fails under them. */
import type { FaultResult, Results } from "../results.ts";
import { figure } from "./chart.ts";
import { brokenCell } from "./cost.ts";
import { dataTable, type Html, html } from "../../../page/html.ts";
import { count, significant } from "./numbers.ts";

/** The faults, in words. */
export const faultWords: Readonly<Record<FaultResult["fault"], string>> = {
  "cut-node": "a node is cut off",
  "kill-node": "SIGKILL of a node",
  "kill-server": "SIGKILL of the server",
};

const kinds = ["cut-node", "kill-node", "kill-server"] as const;

/** A chart of the longest silence, and a table of everything. */
export function faultsSection(results: Results): Html {
  const head = html`<h2>When something fails</h2>`;
  if (results.faults.length === 0) {
    return html`<section id="faults">
      ${head}
      <p>Faults are not part of the ${results.profile} profile.</p>
    </section>`;
  }
  return html`<section id="faults">
    ${head}
    <p>
      Under an open load that each strategy can keep, one node loses its network for a while, a node
      is killed in the middle of what it does, locks and all, and the server is killed and started
      again; where there is no server, the first node.
    </p>
    ${silence(results)}
  </section>`;
}

/** The strategy, and the workload where there are several. */
function placesOf(faults: readonly FaultResult[]): (fault: FaultResult) => string {
  const isOne = new Set(faults.map(({ workload }) => workload)).size === 1;
  return ({ strategy, workload }) => (isOne ? strategy : `${strategy}, ${workload}`);
}

function silence({ faults, strategies }: Results): Html {
  const place = placesOf(faults);
  const measured = faults.filter(({ error }) => error === undefined);
  const msOf = (label: string, kind: FaultResult["fault"]): number | null =>
    measured.find((each) => place(each) === label && each.fault === kind)?.longestSilenceMs ?? null;
  const worst = (label: string): number => Math.max(...kinds.map((kind) => msOf(label, kind) ?? 0));
  const labels = [...new Set(measured.map(place))].toSorted((a, b) => worst(a) - worst(b));
  return figure({
    title: "The longest silence",
    note: html`<p>
      The longest time without any answer on the nodes that are not hit, from the fault on.
    </p>`,
    chart: {
      kind: "bars",
      unit: "ms, logarithmic",
      isLogarithmic: true,
      rows: labels.map((label) => {
        const own = measured.filter((each) => place(each) === label);
        return {
          label,
          family: strategies.find(({ name }) => name === own[0]?.strategy)?.family ?? "baseline",
          broken: own.reduce((sum, { violations }) => sum + violations.total, 0),
        };
      }),
      series: kinds.map((kind) => ({
        label: faultWords[kind],
        values: labels.map((label) => msOf(label, kind)),
      })),
    },
    table: everything(faults),
  });
}

function everything(faults: readonly FaultResult[]): Html {
  const head = [
    ...[{ text: "strategy" }, { text: "workload" }, { text: "fault" }],
    ...["before, ops/s and node", "others meanwhile, ops/s", "the cut meanwhile, ops/s"],
    ...["longest silence, ms", "failed", "rules broken", { text: "could not be measured" }],
  ];
  return dataTable(
    "Faults",
    head,
    faults.map((each) => [
      ...[each.strategy, each.workload, faultWords[each.fault]],
      ...(each.error === undefined
        ? [
            significant(each.perSecondBefore),
            significant(each.perSecondOfOthers),
            significant(each.perSecondOfTheCut),
            significant(each.longestSilenceMs),
            count(each.failed),
            brokenCell(each.violations),
            "",
          ]
        : ["", "", "", "", "", "", each.error]),
    ]),
  );
}
