/** Runs one exported function in a process of its own, so that nobody inherits another's heap or optimised code. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("./fresh-process-main.mjs", import.meta.url));

/**
 * Calls `module`'s export `call` with `input` in a fresh process.
 * @param {{ module: string, call: string, input: unknown, deadlineMs: number }} job
 * @returns {Promise<any>} what the function returned
 */
export function inFreshProcess({ module, call, input, deadlineMs }) {
  return new Promise((resolve, reject) => {
    const child = fork(main, [], { execArgv: ["--expose-gc"], serialization: "advanced" });
    let settled = false;
    const settle = (finish) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      child.kill("SIGKILL");
      finish();
    };
    const timer = setTimeout(() => {
      settle(() => reject(new Error(`${call} took longer than ${deadlineMs / 1_000} s`)));
    }, deadlineMs);
    child.on("message", ({ result, error }) => {
      settle(() =>
        error ? reject(Object.assign(new Error(error.message), error)) : resolve(result),
      );
    });
    child.on("error", (error) => settle(() => reject(error)));
    child.on("exit", (code, signal) => {
      settle(() => reject(new Error(`${call} ended early (${signal ?? `exit code ${code}`})`)));
    });
    child.send({ module, call, input });
  });
}
