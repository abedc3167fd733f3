/**
 * The command `trellis demo`: a storefront on a bad day. Pages are counted, a sale runs, everybody wants one
 * coupon and one name; one replica is cut off in the middle and another one killed. Books that are kept
 * outside say whether every rule held.
 */
import { basename } from "node:path";
import { MultiBar, type SingleBar } from "cli-progress";
import { replay } from "./replay/coordinator.ts";
import { generateRequests } from "./replay/generate.ts";
import type { LocksChoice, LockServer } from "./replay/locks-choice.ts";
import { readAccessLog } from "./replay/log.ts";
import { json, type Subject, summary, table } from "./replay/report.ts";
import { shopReport } from "./replay/shop-report.ts";

/** Flags of `trellis demo`. */
export interface DemoCommandOptions {
  readonly input?: string;
  readonly generate: number;
  readonly units: number;
  readonly locks: "embedded" | LockServer;
  readonly seed: number;
  /** Seconds. */
  readonly timeout: number;
  readonly logLevel: string;
  readonly json?: true;
}

const replicas = 3;
const topology = "mesh";

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
  const bars = progress({ requests: requests.length, units });
  try {
    await using locks = await locksOf(options.locks);
    const result = await replay({
      ...{ replicas, topology, seed, logLevel, signal },
      visits: requests.map(({ path, visitor, referrer }) => ({ path, visitor, referrer })),
      cut: true,
      durable: true,
      timeoutMs: options.timeout * 1_000,
      shop: { units, locks: locks.of, onSold: (sold) => bars?.units.update(sold) },
      onProgress: (taken) => bars?.requests.update(taken),
    });
    bars?.stop();
    const text = options.json
      ? json(subject, result)
      : [...locks.remarks, table(result), ...summary(subject, result), ...shopReport(result)].join(
          "\n",
        );
    process.stdout.write(`${text}\n`);
    return result.agrees;
  } finally {
    bars?.stop();
  }
}
