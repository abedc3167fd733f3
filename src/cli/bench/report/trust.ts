/** How far to trust it: what was unsteady, what differs from the run before, what is missing, and how it was done. */
import { agreementMax, type Results } from "../results.ts";
import { dataTable, details, empty, type Html, html } from "../../../page/html.ts";
import { count, counted, minuteOf, percent, significant } from "./numbers.ts";
import { type Measured, measuredOf, placeOf } from "./select.ts";

/** A quarter of the load may differ so much from the whole and still be called steady. */
export const steadinessMax = 0.25;

/** The last section. */
export const trustSection = (results: Results): Html =>
  html`<section id="trust">
    <h2>How far to trust it</h2>
    ${steadiness(results)}${agreement(results)}${missing(results)}${failed(results)}${method(results)}
  </section>`;

/** The cells whose slowest and fastest quarter are far from the whole. */
export function unsteadyOf(results: Results): readonly Measured[] {
  return measuredOf(results).filter(
    ({
      measures: {
        steadiness: [slowest, fastest],
      },
    }) => slowest < 1 - steadinessMax || fastest > 1 + steadinessMax,
  );
}

/** Rows that are shown without being asked for. */
const rowsMax = 12;

/** A table, folded where it is long. */
const listOf = (...[caption, head, rows]: Parameters<typeof dataTable>): Html =>
  details(
    `${caption}: ${count(rows.length)}`,
    dataTable(caption, head, rows),
    rows.length <= rowsMax,
  );

function steadiness(results: Results): Html {
  const all = measuredOf(results).length;
  const unsteady = unsteadyOf(results);
  const limit = percent(steadinessMax);
  const head = html`<h3>Steadiness</h3>`;
  if (unsteady.length === 0) {
    return html`${head}
      <p>
        In each of ${counted(all, "cell")} every quarter of the load went within ${limit} as fast as
        the whole.
      </p>`;
  }
  return html`${head}
    <p>
      In ${count(unsteady.length)} of ${counted(all, "cell")} the slowest or the fastest quarter of
      the load differs from the whole by more than ${limit}; do not build on these alone.
    </p>
    ${listOf(
      "Unsteady cells",
      [
        { text: "strategy" },
        { text: "workload" },
        { text: "cell" },
        "ops/s",
        "slowest quarter",
        "fastest quarter",
      ],
      unsteady.map(({ cell, measures }) => [
        ...[cell.strategy, cell.workload, placeOf(cell), significant(measures.perSecond)],
        ...measures.steadiness.map(percent),
      ]),
    )}`;
}

function agreement({ agreement: found, yardstick }: Results): Html {
  const head = html`<h3>Agreement with an earlier run</h3>`;
  if (found === undefined) {
    return html`${head}
      <p>
        There was no earlier run of this profile in the folder. Run it again: ratios to ${yardstick}
        are compared.
      </p>`;
  }
  const { apart, compared, startedAt } = found;
  const limit = percent(agreementMax);
  const told = html`${head}
    <p>
      Of ${counted(compared, "ratio")} to ${yardstick}, ${count(compared - apart.length)} came out
      within ${limit} as in the run of <time datetime="${startedAt}">${minuteOf(startedAt)}</time>.
    </p>`;
  if (apart.length === 0) return told;
  return html`${told}${listOf(
    "Ratios that are apart",
    [{ text: "strategy" }, { text: "workload" }, { text: "cell" }, "before", "now"],
    apart.map(({ cell, before, now }) => [
      ...[cell.strategy, cell.workload, placeOf(cell), significant(before), significant(now)],
    ]),
  )}`;
}

function missing({ cells, strategies }: Results): Html {
  const skipped = strategies.filter((each) => each.skipped !== undefined);
  const errored = cells.filter(({ error }) => error !== undefined);
  return html`<h3>What is missing</h3>
    ${
      skipped.length === 0
        ? html`<p>No strategy was skipped.</p>`
        : listOf(
            "Skipped strategies",
            [{ text: "skipped strategy" }, { text: "why" }],
            skipped.map((each) => [each.name, each.skipped ?? ""]),
          )
    }
    ${
      errored.length === 0
        ? html`<p>Every cell could be measured.</p>`
        : listOf(
            "Cells without a result",
            [{ text: "no result" }, { text: "workload" }, { text: "cell" }, { text: "why" }],
            errored.map((cell) => [cell.strategy, cell.workload, placeOf(cell), cell.error ?? ""]),
          )
    }`;
}

/** Operations that failed or were never answered; what came of them may have happened or not. */
function failed(results: Results): Html {
  const found = measuredOf(results).filter(
    ({ measures }) => measures.failed > 0 || (measures.latency?.unanswered ?? 0) > 0,
  );
  if (found.length === 0) return empty;
  return details(
    `${counted(found.length, "cell")} with operations that failed or were not answered in time`,
    dataTable(
      "Operations that failed",
      [
        ...[{ text: "strategy" }, { text: "workload" }, { text: "cell" }],
        ...["operations", "failed", "unanswered, open load", { text: "errors" }],
      ],
      found.map(({ cell, measures }) => [
        ...[cell.strategy, cell.workload, placeOf(cell), count(measures.operations)],
        ...[count(measures.failed), count(measures.latency?.unanswered ?? 0)],
        measures.errors.join("; "),
      ]),
    ),
  );
}

function method(results: Results): Html {
  const trips = Object.entries(results.roundTripsMs)
    .toSorted(([left], [right]) => Number(left) - Number(right))
    .map(([set, measured]) => `${set} ms as set: ${significant(measured)} ms`);
  return html`<h3>Method</h3>
    <p>
      Each node is a process of its own, and each strategy is used as its users use it. Between
      nodes and servers, and between nodes, stands a network of ours that delays and
      counts${trips.length > 0 ? ` (measured by its own echo: ${trips.join("; ")})` : ""}. A closed
      load, in which each caller asks again once it is answered, gives throughput; an open load, at
      half of that or less, gives latency from when each operation was due; and a scarce load sells
      units until they are gone. Every answer is noted by its caller, and a ledger compares all of
      them with what is there at the end, once the nodes have settled: what it finds too much,
      twice, lost or from nowhere is a broken rule. Absolute numbers are those of this machine;
      compare ratios.
    </p>
    <h3>Run it yourself</h3>
    <pre><code>${results.command}</code></pre>
    <p>
      <button type="button" id="save">Save results.json</button> All numbers of this page, and those
      that it does not show.
    </p>`;
}
