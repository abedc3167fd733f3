/**
 * `npm run bench:locks`: every figure of "How fast" for locks, on real servers that this starts for
 * itself and ends: ours beside the bare client of the same library on the same server, in turns.
 *
 *   --json           one JSON document instead of tables
 *   --only NAME,…    backends, questions, or rows by id
 *   --quick          shorter rounds, under a minute and a half; for a look, not for a verdict
 *   --list           the rows there are
 *
 * TRELLIS_BENCH_DIR names the folder, and so the disk, that the servers write to.
 */
import { loadavg, tmpdir } from "node:os";
import { backends, missing } from "./locks/backends.mjs";
import { Way } from "./locks/way.mjs";
import {
  answerRow,
  broken,
  choose,
  list,
  onInterrupt,
  progress,
  readOptions,
  within,
} from "./command.mjs";
import { count, describeMachine, printMachine, printTable, sentence } from "./report.mjs";

const questions = ["cycle", "compare-and-set", "hand-over", "combining", "operate"];
/** A row that takes longer is broken; each is meant to take about three seconds. */
const rowMsMax = 45_000;

const options = readOptions();
const chosen = choose(await plan(), options.wanted, ({ backend, question, row }) => [
  backend.name,
  question,
  row.id,
]);
if (options.list) list(chosen.map(({ row }) => row));
else await run(chosen);
// What a client keeps open after it was closed keeps nobody here.
process.exit();

/** All rows of all backends. */
async function plan() {
  const modules = await Promise.all(
    questions.map(async (question) => ({
      question,
      ...(await import(`./locks/${question}.mjs`)),
    })),
  );
  return (await backends()).flatMap((backend) =>
    modules.flatMap(({ question, title, rowsOf }) =>
      rowsOf(backend).map((row) => ({ backend, question, title, row })),
    ),
  );
}

async function run(entries) {
  const startMs = performance.now();
  const machine = describeMachine();
  const [results, servers, skipped] = [[], {}, {}];
  for (const backend of new Set(entries.map((entry) => entry.backend))) {
    const rows = entries.filter((entry) => entry.backend === backend);
    const why = await missing(backend);
    if (why) skipped[backend.name] = why;
    else await answerAll(backend, rows, { results, servers });
  }
  progress("");
  const seconds = (performance.now() - startMs) / 1_000;
  const summary = count(results, seconds);
  const loadAfter = loadavg()[0];
  if (options.json) {
    const { quick } = options;
    console.log(
      JSON.stringify({ machine, loadAfter, quick, servers, skipped, rows: results, summary }),
    );
  } else {
    printHead(machine, servers, skipped);
    for (const question of questions) {
      const answered = results.filter((result) => result.question === question);
      if (answered.length > 0) printTable(answered[0].title, answered);
    }
    console.log(`\nload average at the end ${loadAfter.toFixed(2)}, ${Math.round(seconds)} s`);
    const left = Object.keys(skipped).length;
    if (left > 0) console.log(`skipped: ${Object.keys(skipped).join(", ")}`);
    console.log(sentence(summary));
  }
  if (summary.broken > 0) process.exitCode = 1;
}

/** The rows of one backend, on servers of their own. If those fail, its rows are broken and the others go on. */
async function answerAll(backend, entries, { results, servers }) {
  progress(`${backend.name}: starting`);
  let started;
  const forget = onInterrupt(async () => started?.stop());
  try {
    started = await backend.start();
    servers[backend.name] = await backend.describe(started.addresses);
    const bare = await backend.bare?.(started.addresses);
    if (bare) servers[backend.name] += `; floor of a cycle: ${bare.does}`;
    await bare?.close();
    for (const entry of entries) results.push(await answer(entry, started.addresses));
  } catch (error) {
    for (const { question, title, row } of entries) {
      const { id, label, unit } = row;
      if (results.some((result) => result.id === id)) continue;
      results.push(broken({ backend: backend.name, question, title, id, label, unit }, row, error));
    }
  } finally {
    forget();
    await started?.stop();
  }
}

async function answer({ backend, question, title, row }, addresses) {
  const ways = [];
  const open = async (delayMs) => {
    const way = await Way.open(backend, addresses, delayMs);
    ways.push(way);
    return way;
  };
  try {
    const base = { backend: backend.name, question, title };
    return await answerRow(base, row, rowMsMax, () =>
      row.measure({ open, isQuick: options.quick }),
    );
  } finally {
    await Promise.allSettled(ways.map((way) => within(rowMsMax, way.close())));
  }
}

function printHead(machine, servers, skipped) {
  printMachine(machine);
  for (const [name, text] of Object.entries(servers)) console.log(`${name}: ${text}`);
  for (const [name, why] of Object.entries(skipped)) console.log(`${name}: skipped, ${why}`);
  console.log(
    `Everything that is durable is on the disk of ${tmpdir()}. Ratios are to the floor of`,
  );
  console.log(
    "the same row, taken in turns in one process; what the floors are: benchmarks/README.md",
  );
  if (options.quick) console.log("--quick: shorter rounds, more noise; not for a verdict.");
}
