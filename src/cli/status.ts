/** The command `trellis status`: what a live peer says of itself, what is wrong first. */
import type { DialOptions } from "./dialing.ts";
import { checkDialing } from "./dialing.ts";
import { readStatus } from "./status/client.ts";
import { printed } from "./status/print.ts";
import { reportOf, troublesOf } from "./status/report.ts";

/** The options of `trellis status`. */
export interface StatusCommandOptions extends DialOptions {
  /** In seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

const rowsShown = 50;

/**
 * Prints it; returns whether nothing is wrong.
 * @throws UsageError when it cannot be reached, UnauthorizedError, ProtocolError
 */
export async function statusCommand(url: string, options: StatusCommandOptions): Promise<boolean> {
  checkDialing(options);
  const { timeout, json = false } = options;
  const timeoutMs = timeout * 1_000;
  const signal = AbortSignal.timeout(timeoutMs);
  const told = await readStatus({ url, dial: options, silentMsMax: timeoutMs, signal });
  const report = reportOf(told);
  const troubles = troublesOf(report);
  const text = json
    ? JSON.stringify({ troubles, status: told }, undefined, 2)
    : printed(report, { url, rowsMax: rowsShown, nowMs: Date.now() });
  process.stdout.write(`${text}\n`);
  return troubles.length === 0;
}
