/**
 * `npm run bench:escalate`: every figure of "How fast" for escalation. What is compared runs in one process, in
 * turns, on servers that this starts for itself and ends.
 *
 *   --json           one JSON document instead of tables
 *   --only NAME,…    questions, or rows by id
 *   --quick          shorter rounds and fewer cells, under a minute and a half; for a look, not for a verdict
 *   --list           the rows there are
 *
 * TRELLIS_BENCH_DIR names the folder, and so the disk, that servers and replicas write to.
 */
import { loadavg, tmpdir } from "node:os";
import { answerRow, choose, list, onInterrupt, progress, readOptions, within } from "./command.mjs";
import { Servers } from "./escalate/servers.mjs";
import { count, describeMachine, printMachine, printTable, sentence } from "./report.mjs";

const questions = ["local", "rate", "trips", "hot-key", "chooser"];
/** A row that takes longer is broken. */
const rowMsMax = 60_000;

const options = readOptions();
const modules = await Promise.all(
  questions.map(async (question) => ({
    question,
    ...(await import(`./escalate/${question}.mjs`)),
  })),
);
const entries = modules.flatMap(({ question, title, rowsOf }) =>
  rowsOf().map((row) => ({ question, title, row })),
);
const wanted = choose(entries, options.wanted, ({ question, row }) => [question, row.id]);
// Rows that are named are measured, however long they take.
const chosen = options.quick && !options.wanted ? wanted.filter(({ row }) => !row.isLong) : wanted;
if (options.list) list(chosen.map(({ row }) => row));
else await run();
// What a client keeps open after it was closed keeps nobody here.
process.exit();

async function run() {
  const startMs = performance.now();
  const machine = describeMachine();
  const servers = await Servers.load();
  const [results, skipped] = [[], {}];
  const forget = onInterrupt(() => servers.stop());
  try {
    for (const entry of chosen) {
      const why = await servers.missing(entry.row.needs);
      if (why) skipped[entry.row.id] = why;
      else results.push(await answer(servers, entry));
    }
    progress("");
    await report({ machine, results, skipped, described: await servers.describe(), startMs });
  } finally {
    forget();
    await servers.stop();
  }
}

async function answer(servers, { question, title, row }) {
  const ways = [];
  const open = async (name, delayMs) => {
    const way = await servers.open(name, delayMs);
    ways.push(way);
    return way;
  };
  try {
    const measure = () => row.measure({ open, isQuick: options.quick });
    return await answerRow({ question, title }, row, rowMsMax, measure);
  } finally {
    await Promise.allSettled(ways.map((way) => within(rowMsMax, way.close())));
  }
}

async function report({ machine, results, skipped, described, startMs }) {
  const seconds = (performance.now() - startMs) / 1_000;
  const summary = count(results, seconds);
  if (summary.broken > 0) process.exitCode = 1;
  const [{ quick }, loadAfter] = [options, loadavg()[0]];
  if (options.json) {
    const document = {
      machine,
      loadAfter,
      quick,
      servers: described,
      skipped,
      rows: results,
      summary,
    };
    console.log(JSON.stringify(document));
    return;
  }
  printMachine(machine);
  for (const [name, text] of Object.entries(described)) console.log(`${name}: ${text}`);
  console.log(`Everything that is durable is on the disk of ${tmpdir()}.`);
  console.log("What the floors are, and how it is measured: benchmarks/README.md");
  if (quick) console.log("--quick: shorter rounds, more noise; not for a verdict.");
  for (const { question, title } of modules) {
    const answered = results.filter((result) => result.question === question);
    if (answered.length > 0) printTable(title, answered);
  }
  console.log(`\nload average at the end ${loadAfter.toFixed(2)}, ${Math.round(seconds)} s`);
  for (const [id, why] of Object.entries(skipped)) console.log(`${id}: skipped, ${why}`);
  console.log(sentence(summary));
}
