/** Log lines of a run: most are of no interest, and some must never be. */
import type { Logger } from "../../src/telemetry.ts";

/** Ends of links that no network and no clock can cause between honest peers. */
const faults: ReadonlySet<unknown> = new Set([
  "malformed",
  "internal",
  "clone",
  "self",
  "schema",
  "unauthorized",
  "overloaded",
]);

/** A logger that fails the run for what must never be logged; a disk may refuse if `refuses` agrees. */
export function watchfulLogger(
  name: string,
  fail: (error: unknown) => void,
  refuses: () => boolean,
): Logger {
  const look = (fields: object, message: string): void => {
    const { code, by, err } = { code: undefined, by: undefined, err: undefined, ...fields };
    const isLoss = code === "protocol" && message.includes("the network lost some");
    if (!faults.has(code) && (code !== "protocol" || isLoss)) return;
    fail(new Error(`${name} logs: ${message} (${String(code)} by ${String(by)})`, { cause: err }));
  };
  return {
    debug: look,
    info: look,
    warn: look,
    error: (fields, message) => {
      const { err } = { err: undefined, ...fields };
      if (message.startsWith("the disk refuses") && refuses()) return;
      fail(new Error(`${name} logs an error: ${message}`, { cause: err }));
    },
  };
}
