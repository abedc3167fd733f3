/**
 * `npm run bench:documents`: somebody's edits of a text, replayed by an unmodified client of Yjs or Automerge through
 * a peer, until a second client has them; and through the servers that these clients come with. Everyone has a turn in
 * each round; ratios are of rates of one round. See `docs/benchmarks/documents.md`.
 *
 *   --rounds 3                 how often everyone has a turn
 *   --edits 100000             of the trace
 *   --turn 100                 edits that are made in one turn of the writer's event loop
 *   --rate 500                 edits a second, at most; else only the socket holds the writer back
 *   --only trellis-yjs         contestants by id, or families; whoever is 1x takes part in any case
 *   --list                     who there is
 *   --json                     one JSON document, with the figures of every round
 *   --profile folder           a CPU profile of every server
 *
 * Folders of those who store are in the one for temporary files, or in the one that TRELLIS_BENCH_DIR names.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import Table from "cli-table3";
import { choose, list, onInterrupt, progress, within } from "./command.mjs";
import { median } from "./crdt/measure.mjs";
import { contestants, floors, ratioMin } from "./documents/contestants.mjs";
import { killAll } from "./documents/process.mjs";
import { round } from "./documents/round.mjs";
import { editingTrace } from "./documents/trace.mjs";
import { figure } from "./report.mjs";

const roundMsMax = 240_000;
const titles = { yjs: "Yjs", automerge: "Automerge" };

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    edits: { type: "string", default: "100000" },
    turn: { type: "string", default: "100" },
    rate: { type: "string" },
    only: { type: "string" },
    list: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    profile: { type: "string" },
  },
});
const rounds = Number(options.rounds);
const edits = Number(options.edits);
const turnEdits = Number(options.turn);
const rate = options.rate === undefined ? undefined : Number(options.rate);
const wanted = options.only?.split(",").map((name) => name.trim());

async function main() {
  const startMs = performance.now();
  const load = loadavg()[0].toFixed(1);
  const named = choose(contestants, wanted, ({ id, family }) => [id, family]);
  const asked = named.filter(({ id, isExtra }) => !isExtra || wanted?.includes(id));
  const families = Object.keys(floors).filter((name) =>
    asked.some(({ family }) => family === name),
  );
  const isFloor = ({ id, family }) => id === floors[family] && families.includes(family);
  const taking = contestants.filter((each) => asked.includes(each) || isFloor(each));
  const scratch = mkdtempSync(join(process.env.TRELLIS_BENCH_DIR ?? tmpdir(), "trellis-bench-"));
  const clear = () => {
    killAll();
    rmSync(scratch, { recursive: true, force: true, maxRetries: 5 });
  };
  const stopListening = onInterrupt(async () => clear());
  const results = [];
  try {
    for (const family of families) {
      results.push(
        ...(await contest(
          taking.filter((each) => each.family === family),
          scratch,
        )),
      );
    }
  } finally {
    clear();
    stopListening();
  }
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  if (options.json)
    console.log(JSON.stringify({ load, rounds, edits, turnEdits, rate, seconds, results }));
  else report(results, { load, seconds, families });
  if (results.some(({ error }) => error)) process.exitCode = 1;
}

/** All of one family, in turns; each round begins with another. Who fails once is out. */
async function contest(family, scratch) {
  const results = family.map((contestant) => ({ ...contestant, figures: [] }));
  for (let i = 0; i < rounds; i++) {
    const order = [...results.slice(i % results.length), ...results.slice(0, i % results.length)];
    for (const result of order) {
      if (result.error) continue;
      progress(`${result.id}, round ${i + 1} of ${rounds}`);
      try {
        const work = { edits, turnEdits, rate, scratch, profile: options.profile };
        result.figures.push(await within(roundMsMax, round(result, work)));
      } catch (error) {
        killAll();
        result.error = error.message;
      }
    }
  }
  const floor = results.find(({ id, family: name }) => id === floors[name]);
  return results.map((result) => ({ ...result, ratio: ratioTo(floor, result) }));
}

/** The median of the rounds' ratios, and the furthest of them. */
function ratioTo(floor, { figures, error }) {
  if (error || floor.error) return undefined;
  const all = figures.map(({ perSecond }, i) => perSecond / floor.figures[i].perSecond);
  return { median: median(all), low: Math.min(...all), high: Math.max(...all) };
}

function report(results, { load, seconds, families }) {
  const [cpu] = cpus();
  const pace = rate === undefined ? "as fast as it goes" : `${figure(rate)} a second`;
  console.log(`${cpu?.model}, ${cpus().length} cores, Node ${process.version}, load ${load}`);
  console.log(`${rounds} rounds, ${turnEdits} edits a turn, ${pace}, ${seconds} s; medians`);
  for (const family of families) {
    const { text } = editingTrace(edits);
    console.log(
      `\n${titles[family]}: ${figure(edits)} edits that come to ${figure(text.length)} characters`,
    );
    print(results.filter((result) => result.family === family));
  }
  const ours = results.filter(({ isOurs }) => isOurs);
  const met = ours.filter(({ ratio }) => ratio?.median >= ratioMin);
  console.log(`\n${met.length} of ${ours.length} rows of Trellis at ${ratioMin}x or more`);
}

/** In MiB, or KiB where that would be next to none. */
function size(bytes) {
  if (bytes < 104_858) return `${(bytes / 1_024).toFixed(1)} KiB`;
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

function print(results) {
  const table = new Table({
    head: [
      "",
      "edits/s",
      "ratio",
      "CPU",
      "clients' CPU",
      "memory",
      "writer out/in",
      "reader in/out",
      "disk",
    ],
    colAligns: ["left", ...Array.from({ length: 8 }, () => "right")],
    style: { head: [], border: [], compact: true },
  });
  for (const { label, figures, ratio, error, isStored } of results) {
    if (error) {
      table.push([label, { colSpan: 8, content: `BROKEN: ${error}` }]);
      continue;
    }
    const middle = (name) => median(figures.map((of) => of[name]));
    const pair = (...names) => names.map((name) => size(middle(name))).join(" / ");
    const spread =
      ratio && `${ratio.median.toFixed(2)}x (${ratio.low.toFixed(2)}-${ratio.high.toFixed(2)})`;
    table.push([
      ...[label, figure(Math.round(middle("perSecond"))), spread ?? "–"],
      ...["cpuMs", "clientsCpuMs"].map((name) => `${figure(Math.round(middle(name)))} ms`),
      size(middle("residentBytes")),
      pair("fromWriterBytes", "toWriterBytes"),
      pair("toReaderBytes", "fromReaderBytes"),
      isStored ? size(middle("diskBytes")) : "–",
    ]);
  }
  console.log(table.toString());
}

if (options.list) list(contestants);
else await main();
