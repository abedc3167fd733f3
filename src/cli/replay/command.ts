/** The command `trellis replay`: reads or makes up a log, runs it, shows what came of it. */
import { basename } from "node:path";
import { SingleBar } from "cli-progress";
import { InvalidValueError, UsageError } from "../../errors.ts";
import { replay } from "./coordinator.ts";
import { generateRequests } from "./generate.ts";
import { readAccessLog, type Request } from "./log.ts";
import type { Topology } from "./members.ts";
import { json, type Subject, summary, table } from "./report.ts";

/** The options of `trellis replay`, as the command line gives them. */
export interface ReplayCommandOptions {
  readonly input?: string;
  readonly generate?: number;
  readonly replicas: number;
  readonly topology: Topology;
  readonly cut: boolean;
  readonly durable?: boolean;
  readonly seed: number;
  /** Seconds. */
  readonly timeout: number;
  readonly logLevel: string;
  readonly json?: boolean;
}

/**
 * Runs the command.
 * @returns whether the replicas agree, with the tally and with each other.
 * @throws UsageError when nothing or two things are to be replayed; what `readAccessLog` and
 * `replay` throw.
 */
export async function replayCommand(
  file: string | undefined,
  options: ReplayCommandOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { requests, source } = await load(chooseInput(file, options), options, signal);
  const { topology, seed, replicas, cut, durable = false, logLevel } = options;
  const subject: Subject = { source, requests: requests.length, topology, seed };
  const bar = progressBar(requests.length);
  try {
    const result = await replay({
      visits: requests.map(({ path, visitor, referrer }) => ({ path, visitor, referrer })),
      replicas,
      topology,
      cut,
      durable,
      seed,
      logLevel,
      timeoutMs: options.timeout * 1_000,
      signal,
      onProgress: (taken) => bar?.update(taken),
    });
    bar?.stop();
    const shown = options.json
      ? json(subject, result)
      : [table(result), ...summary(subject, result)].join("\n");
    process.stdout.write(`${shown}\n`);
    return result.agrees;
  } finally {
    bar?.stop();
  }
}

/** A file to read, or nothing when requests are to be made up. */
function chooseInput(
  file: string | undefined,
  { input, generate }: ReplayCommandOptions,
): string | undefined {
  if (file !== undefined && input !== undefined) {
    throw new UsageError(`two files to replay, ${file} and ${input}: give one of them`);
  }
  const chosen = file ?? input;
  if (chosen === undefined && generate === undefined) {
    throw new UsageError("nothing to replay: give FILE or --generate COUNT");
  }
  return chosen;
}

async function load(
  file: string | undefined,
  { generate = 0, seed }: ReplayCommandOptions,
  signal: AbortSignal,
): Promise<{ readonly requests: readonly Request[]; readonly source: string }> {
  if (file === undefined)
    return { requests: generateRequests(generate, seed), source: "generated input" };
  const requests = await readAccessLog(file, signal);
  // Nothing would agree with nothing.
  if (requests.length === 0) {
    const reason = "has a header and no requests";
    throw new InvalidValueError(`${file} ${reason}; nothing was replayed`, { path: file, reason });
  }
  return { requests, source: basename(file) };
}

/** On a terminal only: a bar in a log file is noise. */
function progressBar(total: number): SingleBar | undefined {
  if (!process.stderr.isTTY) return undefined;
  const bar = new SingleBar({
    format: "{bar} {value}/{total} requests, {duration_formatted}",
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  bar.start(total, 0);
  return bar;
}
