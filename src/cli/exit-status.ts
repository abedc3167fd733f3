/** What the command says about an error, and the status that it ends with. */
import { CommanderError } from "commander";
import { TrellisError, UsageError } from "../errors.ts";
import { statusOf, StoppedError } from "./stop-signal.ts";

/** A wrong command line. */
const statusUsage = 2;
const statusFailure = 1;

/** Writes one sentence about `error` to standard error; returns the status of the process. */
export function explainFailure(error: unknown): number {
  // Commander has said it already. Help and version are no failures.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : statusUsage;
  process.stderr.write(`error: ${describe(error)}\n`);
  if (error instanceof StoppedError) return statusOf(error.by);
  // With a cause it was the world that refused, such as a port in use, and not the command line.
  return error instanceof UsageError && error.cause === undefined ? statusUsage : statusFailure;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Errors of the system say what happened in one line; anything else is a fault of ours.
  const isExpected = error instanceof TrellisError || "syscall" in error;
  return isExpected ? error.message : (error.stack ?? error.message);
}
