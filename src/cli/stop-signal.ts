/** SIGINT and SIGTERM as an `AbortSignal`, and an end to what does not end by itself. */
import { constants } from "node:os";
import { TrellisError } from "../errors.ts";

/** The signals that ask the command to stop. */
export type StopSignal = "SIGINT" | "SIGTERM";

/** How long the command may take to stop, in ms; then it is ended as it stands. */
const stopMs = 10_000;

/** The command was asked to stop. */
export class StoppedError extends TrellisError {
  readonly code = "TRELLIS_STOPPED";
  readonly by: StopSignal;

  constructor(by: StopSignal) {
    super(`stopped by ${by}`);
    this.by = by;
  }
}

/** The status of a process that a signal ended, as shells give it. */
export const statusOf = (by: StopSignal): number => 128 + constants.signals[by];

/**
 * A signal that aborts, with a `StoppedError`, when the process is asked to stop. A second request
 * ends the process at once, as does the end of `stopMs`.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (by: StopSignal): void => {
    if (controller.signal.aborted) process.exit(statusOf(by));
    setTimeout(() => process.exit(statusOf(by)), stopMs).unref();
    controller.abort(new StoppedError(by));
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return controller.signal;
}
