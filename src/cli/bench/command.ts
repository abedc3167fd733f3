/** The command `trellis bench`: asks, prints tables, and writes `results.json` and `report.html`. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SingleBar } from "cli-progress";
import { UsageError } from "../../errors.ts";
import { agreementWith } from "./agreement.ts";
import type { GivenServers } from "./bench-servers.ts";
import { printed } from "./printed.ts";
import { type Profile, profiles } from "./profile.ts";
import { reportPage } from "./report/page.ts";
import { type Results, timeOver } from "./results.ts";
import { run } from "./run.ts";
import { loadStrategies, type Strategy } from "./strategy.ts";
import { workloadNames } from "./workload.ts";

/** The options of `trellis bench`, as the command line gives them. */
export interface BenchCommandOptions {
  readonly profile: Profile["name"];
  readonly out: string;
  /** Names, separated by commas. */
  readonly only?: string;
  readonly workload?: string;
  readonly server?: GivenServers;
  readonly seed: number;
  readonly list?: boolean;
}

/**
 * Runs the command.
 * @returns whether every strategy but a strawman kept its rules, and every cell could be measured.
 * @throws UsageError for a name that nobody has.
 */
export async function benchCommand(
  options: BenchCommandOptions,
  { version, signal }: { readonly version: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const all = await loadStrategies();
  if (options.list === true) {
    process.stdout.write(
      `${all.map(({ name, title }) => `${name.padEnd(24)}${title}`).join("\n")}\n`,
    );
    return true;
  }
  const names = all.map(({ name }) => name);
  const wanted = chosen(options.only, names, "strategy");
  const progress = progressBar();
  try {
    const results = await run({
      profile: profiles[options.profile],
      strategies: all.filter(({ name }) => wanted.includes(name)),
      workloads: chosen(options.workload, workloadNames, "workload"),
      servers: options.server ?? new Map(),
      ...{ seed: options.seed, command: commandOf(options), version, signal },
      onProgress: progress.show,
    });
    progress.stop();
    return await deliver(results, options.out, all);
  } finally {
    progress.stop();
  }
}

/** As it can be typed again, with servers of one's own if they were. */
const commandOf = ({ profile, only, workload, seed, server }: BenchCommandOptions): string =>
  [
    `npx trellis bench --profile ${profile} --seed ${seed}`,
    ...(only === undefined ? [] : [`--only ${only}`]),
    ...(workload === undefined ? [] : [`--workload ${workload}`]),
    ...[...(server?.keys() ?? [])].map((name) => `--server ${name}://…`),
  ].join(" ");

async function deliver(
  measured: Results,
  folder: string,
  strategies: readonly Strategy[],
): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, "results.json");
  const before = await earlier(path);
  const agreement = before && agreementWith(before, measured);
  const results = agreement === undefined ? measured : { ...measured, agreement };
  await writeFile(path, `${JSON.stringify(results, undefined, 1)}\n`);
  const page = join(folder, "report.html");
  await writeFile(page, reportPage(results));
  process.stdout.write(`${printed(results)}\n\n${path}\n${page}\n`);
  return isSound(results, strategies);
}

/** The run whose results lie there already, if there is one that this version can read. */
async function earlier(path: string): Promise<Results | undefined> {
  try {
    const results = JSON.parse(await readFile(path, "utf8")) as Results;
    return results.version === 1 ? results : undefined;
  } catch {
    return undefined;
  }
}

function isSound({ cells, faults, strategies }: Results, all: readonly Strategy[]): boolean {
  const strawmen = new Set(all.flatMap(({ name, isStrawman }) => (isStrawman ? [name] : [])));
  const skipped = new Set(strategies.flatMap(({ name, skipped: why }) => (why ? [name] : [])));
  return [...cells, ...faults].every((each) => {
    if (skipped.has(each.strategy)) return true;
    if (each.error !== undefined) return each.error === timeOver;
    const violations = "measures" in each ? each.measures.violations : each.violations;
    return violations.total === 0 || strawmen.has(each.strategy);
  });
}

/** Those that are named, or all. */
function chosen<T extends string>(
  text: string | undefined,
  known: readonly T[],
  what: string,
): readonly T[] {
  if (text === undefined) return known;
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !known.some((each) => each === name));
  if (unknown.length > 0) {
    throw new UsageError(`no such ${what}: ${unknown.join(", ")}; there are ${known.join(", ")}`);
  }
  return known.filter((name) => names.includes(name));
}

interface Progress {
  readonly show: (asked: number, all: number, next: string) => void;
  readonly stop: () => void;
}

/** A bar on a terminal; elsewhere a line for each question, since a run takes long. */
function progressBar(): Progress {
  if (!process.stderr.isTTY) {
    const show: Progress["show"] = (asked, all, next) => {
      process.stderr.write(`${asked + 1}/${all} ${next}\n`);
    };
    return { show, stop: () => undefined };
  }
  const bar = new SingleBar({
    format: "{bar} {value}/{total}, {duration_formatted}: {next}",
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  let isStarted = false;
  return {
    show(asked, all, next) {
      if (!isStarted) bar.start(all, 0, { next });
      isStarted = true;
      bar.update(asked, { next });
    },
    stop: () => bar.stop(),
  };
}
