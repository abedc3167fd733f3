/**
 * The command `trellis demo`: a storefront on a bad day. Pages are counted, a sale runs, everybody wants one
 * coupon and one name; one replica is cut off in the middle and another one is killed. Books that are kept
 * outside say whether every rule held.
 */
import { basename } from "node:path";
import { MultiBar } from "cli-progress";
import { isInstalled } from "./servers/installed.ts";
import { startLocks } from "./servers/lock-url.ts";
import { type ServiceName, services } from "./servers/shared.ts";
import { UsageError } from "../errors.ts";
import { replay } from "./replay/coordinator.ts";
import { generateRequests } from "./replay/generate.ts";
import type { LocksChoice } from "./replay/locks-choice.ts";
import { readAccessLog } from "./replay/log.ts";
import { json, type Subject, summary, table } from "./replay/report.ts";
import { shopReport } from "./replay/shop-report.ts";

/** Flags of `trellis demo`. */
export interface DemoCommandOptions {
  readonly input?: string;
  readonly generate: number;
  readonly units: number;
  readonly locks: "embedded" | ServiceName;
  readonly seed: number;
  /** Seconds. */
  readonly timeout: number;
  readonly logLevel: string;
  readonly json?: true;
}

const replicas = 3;
const topology = "mesh";

const advisory =
  "Redlock's fences are advisory: masters that forget, or clocks that jump, may let two holders in. " +
  "The schema of this demonstration accepts that (weakFence), so its rules hold as far as no master forgets.";

/** Runs it. @returns whether every rule held, and all replicas agree with the books. */
export async function demoCommand(
  options: DemoCommandOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const { input, seed, units, logLevel } = options;
  const requests =
    input === undefined
      ? generateRequests(options.generate, seed)
      : await readAccessLog(input, signal);
  const source = input === undefined ? "generated input" : basename(input);
  const subject: Subject = { source, requests: requests.length, topology, seed };
  await using locks = await locksOf(options.locks);
  if (options.locks === "redlock") process.stderr.write(`${advisory}\n`);
  const bars = progressBars({ requests: requests.length, units });
  try {
    const result = await replay({
      ...{ replicas, topology, seed, logLevel, signal },
      visits: requests.map(({ path, visitor, referrer }) => ({ path, visitor, referrer })),
      cut: true,
      durable: true,
      timeoutMs: options.timeout * 1_000,
      shop: { units, locks: (index) => locks.of(index), onSold: bars.sold },
      onProgress: bars.taken,
    });
    bars.stop();
    const lines = [table(result), ...summary(subject, result), ...shopReport(result)];
    process.stdout.write(`${options.json ? json(subject, result) : lines.join("\n")}\n`);
    return result.agrees;
  } finally {
    bars.stop();
  }
}

/** The locks of each replica: hosted by the first, or those of a server that is started now. */
async function locksOf(
  name: DemoCommandOptions["locks"],
): Promise<AsyncDisposable & { of(index: number): LocksChoice }> {
  if (name === "embedded") {
    return {
      of: (index) => ({ kind: "embedded", isHost: index === 0 }),
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
  if (!isInstalled(services[name].kind)) {
    throw new UsageError(
      `${name} is not installed on this machine: npm test installs it (scripts/servers.sh), as root`,
    );
  }
  const started = await startLocks(name);
  return {
    of: () => ({ kind: "url", url: started.url, isWeak: name === "redlock" }),
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
  };
}

interface Bars {
  readonly taken: (requests: number) => void;
  readonly sold: (units: number) => void;
  readonly stop: () => void;
}

/** On a terminal only: bars in a log file are noise. */
function progressBars(totals: { readonly requests: number; readonly units: number }): Bars {
  if (!process.stderr.isTTY) {
    return { taken: () => undefined, sold: () => undefined, stop: () => undefined };
  }
  const bars = new MultiBar({
    format: "{bar} {value}/{total} {what}",
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
  });
  const requests = bars.create(totals.requests, 0, { what: "requests" });
  const units = bars.create(totals.units, 0, { what: "units sold" });
  return {
    taken: (value) => requests.update(value),
    sold: (value) => units.update(value),
    stop: () => bars.stop(),
  };
}
