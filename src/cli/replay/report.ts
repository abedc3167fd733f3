/** How a replay's result is shown: a table and a few sentences, or JSON. */
import Table from "cli-table3";
import type { ReplayResult, ReplicaResult } from "./coordinator.ts";
import type { KillResult } from "./kill.ts";
import type { Topology } from "./members.ts";

/** What was replayed. */
export interface Subject {
  /** Where the requests came from, for people. */
  readonly source: string;
  readonly requests: number;
  readonly topology: Topology;
  readonly seed: number;
}

const headings: readonly string[] = [
  "replica",
  "operations",
  "frames in",
  "frames out",
  "bytes in",
  "bytes out",
  "peak lag, batches",
  "caught up, ms",
  "settled, ms",
  "digest",
];

/** Digits of a digest that are shown in the table; JSON has all 64. */
const digestDigits = 12;

/** One row for each replica. */
export function table({ replicas }: ReplayResult): string {
  const rows = new Table({
    head: [...headings],
    colAligns: headings.map((_, column) =>
      column === 0 || column === headings.length - 1 ? "left" : "right",
    ),
    // One line a replica, and no colours: the table is also read from files.
    style: { head: [], border: [] },
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
  });
  rows.push(...replicas.map(row));
  return rows.toString();
}

function row({ name, figures, caughtUpMs, settledMs, digest }: ReplicaResult): string[] {
  return [
    name,
    count(figures.operations),
    count(figures.framesIn),
    count(figures.framesOut),
    count(figures.bytesIn),
    count(figures.bytesOut),
    count(figures.lagBatchesMax),
    caughtUpMs === undefined ? "-" : count(Math.round(caughtUpMs)),
    settledMs === undefined ? "never" : count(Math.round(settledMs)),
    digest.slice(0, digestDigits),
  ];
}

/** What happened, what was checked, and what came of it; the last line says `agrees` if it does. */
export function summary(subject: Subject, result: ReplayResult): string[] {
  const { verdict, cut, killed, takenMs, convergedMs } = result;
  const { checked } = verdict;
  const perSecond = (ms: number): string => count(Math.round((subject.requests / ms) * 1_000));
  return [
    `${count(subject.requests)} requests of ${subject.source}, spread over ` +
      `${result.replicas.length} processes (${subject.topology}, seed ${subject.seed})`,
    cut === undefined
      ? "no replica was cut off"
      : `${cut.replica} was cut off for ${count(cut.requests)} requests; when it came back it ` +
        `lacked ${count(cut.lacked)}, and the others lacked ${count(cut.lackedByOthers)} of its own`,
    ...(killed === undefined ? [] : [death(killed)]),
    `${perSecond(takenMs)} requests/s taken` +
      (convergedMs === undefined
        ? "; not every replica came to hold them all"
        : `, ${perSecond(convergedMs)} requests/s held by every replica`),
    `checked on every replica: ${count(checked.counters)} counters (${count(checked.hits)} hits) and ` +
      `${count(checked.sets)} sets (${count(checked.visitors)} visitors) with a plain tally, ` +
      `${count(checked.registers)} registers with each other`,
    `${count(verdict.registersLastInLog)} of ${count(checked.registers)} registers hold the ` +
      "referrer that is last in the log; concurrent writers may leave another",
    ...conclusion(result),
  ];
}

const death = ({ replica, unanswered, held, reopenedMs }: KillResult): string =>
  `${replica} was killed with SIGKILL while it took ${count(unanswered)} requests, and reopened in ` +
  `${count(Math.round(reopenedMs))} ms; it held ${count(held)} of them, ` +
  `${count(unanswered - held)} were given again`;

function conclusion({ agrees, verdict, replicas }: ReplayResult): string[] {
  if (agrees) return ["agrees"];
  const late = replicas.filter(({ settledMs }) => settledMs === undefined).map(({ name }) => name);
  const more = verdict.differencesCount - verdict.differences.length;
  return [
    ...(late.length > 0 ? [`not in time: ${late.join(", ")}`] : []),
    `DIFFERS in ${count(verdict.differencesCount)} places`,
    ...verdict.differences.map(
      ({ replica, collection, key, expected, found }) =>
        `  ${replica} ${collection} ${JSON.stringify(key)}: expected ${expected}, found ${found}`,
    ),
    ...(more > 0 ? [`  and ${count(more)} more`] : []),
  ];
}

/** Everything that is known, for machines. */
export const json = (subject: Subject, result: ReplayResult): string =>
  JSON.stringify({ ...subject, ...result });

const count = (value: number): string => value.toLocaleString("en-US");
