/**
 * A soak with a peer that reads nothing: `npm run soak:stall -- [--seconds 60] [--mode MODE]`.
 *
 * Three processes over real sockets. A writer writes all it can; a healthy peer measures how late a
 * register comes that is written every 10 ms, first without any third peer. Then one joins, and
 * stalls for so many seconds: in the mode `stopped` its process is stopped (SIGSTOP), in `paused` it
 * lives, but nothing is read from its socket in either direction. It is woken, still under load, and
 * must come to hold the same.
 * The status is 1 if the writer's memory grew, the healthy peer got slower, or they do not converge.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Child } from "./child.ts";
import type { Heard, Sample } from "./stall-process.ts";

type Mode = "stopped" | "paused";

/** What the writer may grow by during the stall, after it has warmed up, in bytes. */
const growthBytesMax = 16 * 2 ** 20;
/** The healthy peer's p99 during the stall, against the one before a third peer joined. */
const latencyRatioMax = 2;
const latencySlackMs = 5;
/** So much more waiting for a CPU than before is the machine's doing. */
const busierMax = 1.5;
/** Of the beats that were written, how many must have come. */
const beatsShareMin = 0.5;
/** A peer that was cut off waits up to 30 s before it dials again, and may fail once more. */
const convergeMsMax = 90_000;
const startMsMax = 30_000;
const warmUpMs = 10_000;
const settleMs = 2_000;

interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  /** The p99 of the median second: a burst of something else on the machine does not move it. */
  readonly typicalP99: number;
  /** The share of the time in which the process waited for a CPU that others had. */
  readonly cpuWait: number;
}

interface Findings {
  readonly mode: Mode;
  readonly before: Latency;
  readonly during: Latency;
  readonly samples: readonly [start: Sample, middle: Sample, end: Sample];
  /** Until the stalled peer had what there was when it was woken, under load. */
  readonly caughtUpMs: number;
  /** Until all were equal after the load had ended. */
  readonly equalMs: number;
  readonly faults: readonly string[];
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function soak(mode: Mode, seconds: number): Promise<Findings> {
  await using writer = new Child();
  await using healthy = new Child();
  await using stalled = new Child();
  const url = await writer.call("open", { name: "writer" });
  await healthy.call("open", { name: "healthy", peer: url });
  await healthy.call("waitFor", await writer.call("fill"), startMsMax);
  await healthy.call("listen");
  await writer.call("startLoad");
  await sleep(warmUpMs);
  await writer.call("sample");
  await healthy.call("takeHeard");
  await sleep((seconds * 1_000) / 3);
  const before = summarised(await healthy.call("takeHeard"));

  await stalled.call("open", { name: "stalled", peer: url, gated: mode === "paused" });
  await stalled.call("waitFor", await writer.call("version"), startMsMax);
  await sleep(settleMs);
  const start = await writer.call("sample");
  if (mode === "stopped") stalled.signal("SIGSTOP");
  else await stalled.call("shut");
  await healthy.call("takeHeard");
  await sleep(seconds * 500);
  const middle = await writer.call("sample");
  await sleep(seconds * 500);
  const during = summarised(await healthy.call("takeHeard"));
  const end = await writer.call("sample");

  const wakingMs = performance.now();
  if (mode === "stopped") stalled.signal("SIGCONT");
  else await stalled.call("reopen");
  const atWaking = await writer.call("version");
  const faults: string[] = [];
  const failed = (error: unknown): void => void faults.push(`no convergence: ${String(error)}`);
  await stalled.call("waitFor", atWaking, convergeMsMax).catch(failed);
  const caughtUpMs = performance.now() - wakingMs;

  const last = await writer.call("stopLoad");
  const stoppedMs = performance.now();
  await healthy.call("waitFor", last, convergeMsMax).catch(failed);
  await stalled.call("waitFor", last, convergeMsMax).catch(failed);
  const equalMs = performance.now() - stoppedMs;
  const holdings = await Promise.all([writer, healthy, stalled].map((of) => of.call("holding")));
  if (new Set(holdings.map(({ version }) => version)).size > 1) faults.push("versions differ");
  if (new Set(holdings.map(({ content }) => content)).size > 1) faults.push("contents differ");
  for (const child of [healthy, stalled, writer]) await child.call("close");

  const samples = [start, middle, end] as const;
  faults.push(...growth(samples), ...slowness(before, during, seconds));
  return { mode, before, during, samples, caughtUpMs, equalMs, faults };
}

function growth([start, ...later]: Findings["samples"]): string[] {
  return later.flatMap((sample) =>
    (["rss", "heap"] as const)
      .filter((figure) => sample[figure] - start[figure] > growthBytesMax)
      .map(
        (figure) => `the writer's ${figure} grew by ${mebibytes(sample[figure] - start[figure])}`,
      ),
  );
}

/**
 * A peer that stalls all the time would make every second slow. The p99 of the whole may also be that
 * of a machine with other things to do, which shows as waiting for a CPU.
 */
function slowness(before: Latency, during: Latency, stalledSeconds: number): string[] {
  const faults: string[] = [];
  const check = (name: string, was: number, is: number): void => {
    const most = was * latencyRatioMax + latencySlackMs;
    if (is <= most) return; // not a number is a fault, too
    faults.push(`the healthy peer's ${name} is ${milliseconds(is)}: ${milliseconds(most)} at most`);
  };
  check("p99 of the median second", before.typicalP99, during.typicalP99);
  if (!(during.cpuWait > before.cpuWait * busierMax)) check("p99", before.p99, during.p99);
  else if (during.p99 > before.p99 * latencyRatioMax + latencySlackMs) {
    print(
      "note: the p99 is not judged, since the machine was busier with other things than before",
    );
  }
  if (during.count < stalledSeconds * 100 * beatsShareMin) {
    faults.push(`only ${during.count} beats came`);
  }
  return faults;
}

function summarised({ seconds: bySecond, forMs, cpuWaitMs }: Heard): Latency {
  const all = bySecond.flat();
  const p99s = bySecond.map((latencies) => quantile(latencies, 0.99));
  return {
    count: all.length,
    p50: quantile(all, 0.5),
    p99: quantile(all, 0.99),
    typicalP99: quantile(p99s, 0.5),
    cpuWait: cpuWaitMs / forMs,
  };
}

function quantile(figures: readonly number[], share: number): number {
  const sorted = figures.toSorted((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function report({ mode, before, during, samples, caughtUpMs, equalMs, faults }: Findings): void {
  const [start, , end] = samples;
  print(`\nmode ${mode}`);
  row("the writer, during the stall", "start", "middle", "end");
  row("  RSS", ...samples.map(({ rss }) => mebibytes(rss)));
  row("  RSS, the most since before", ...samples.map(({ rssMax }) => mebibytes(rssMax)));
  row("  heap and array buffers", ...samples.map(({ heap }) => mebibytes(heap)));
  row("  operations", ...samples.map(({ operations }) => String(operations)));
  row("  link to the stalled peer", ...samples.map((sample) => linkTo("stalled", sample)));
  row("  bytes to the healthy peer", ...samples.map((sample) => bytesTo("healthy", sample)));
  row("the healthy peer", "before", "during", "");
  row("  beats", String(before.count), String(during.count), "");
  row("  latency p50", milliseconds(before.p50), milliseconds(during.p50), "");
  row("  latency p99", milliseconds(before.p99), milliseconds(during.p99), "");
  row("  p99 of the median second", ...[before, during].map((of) => milliseconds(of.typicalP99)));
  row("  waited for a CPU", ...[before, during].map(({ cpuWait }) => percent(cpuWait)));
  row("the stalled peer, after waking", "", "", "");
  row("  has what there was, under load", seconds(caughtUpMs), "", "");
  row("  equal, after the load ended", seconds(equalMs), "", "");
  const written = end.operations - start.operations;
  print(faults.length === 0 ? `ok: ${written} operations were written meanwhile` : "");
  for (const fault of faults) print(`FAULT: ${fault}`);
}

const row = (label: string, ...cells: readonly string[]): void =>
  print(label.padEnd(34) + cells.map((cell) => cell.padStart(26)).join(""));

function linkTo(name: string, { peers }: Sample): string {
  const peer = peers.find((view) => view.name === name);
  return peer === undefined ? "ended" : `${peer.state}, ${peer.lagBatches} behind`;
}

function bytesTo(name: string, { peers }: Sample): string {
  const peer = peers.find((view) => view.name === name);
  return peer === undefined ? "-" : mebibytes(peer.bytesOut);
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const milliseconds = (ms: number): string => `${ms.toFixed(2)} ms`;
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, mode: { type: "string" } },
});
const modes = (["stopped", "paused"] as const).filter(
  (mode) => values.mode === undefined || values.mode === mode,
);
const stallSeconds = Number(values.seconds);
if (modes.length === 0 || !(stallSeconds > 0)) {
  throw new Error("--seconds is a positive number, --mode is stopped or paused");
}
print(`a stall of ${stallSeconds} s, after ${stallSeconds / 3} s without one`);
let faults = 0;
for (const mode of modes) {
  const findings = await soak(mode, stallSeconds);
  report(findings);
  faults += findings.faults.length;
}
process.exitCode = faults === 0 ? 0 : 1;
