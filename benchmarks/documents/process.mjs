/** Starts processes of a round, asks them, and ends them. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("process-main.mjs", import.meta.url));

/** Those that run. */
const running = new Set();

/**
 * A process that is ready, with what it said then.
 * @param {{ role: "server" | "client" }} input
 * @param {readonly string[]} execArgv
 */
export async function start(input, execArgv = []) {
  const child = fork(script, [JSON.stringify(input)], {
    execArgv: [...execArgv],
    // What servers say of themselves is not for our output.
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  running.add(child);
  const waiting = new Map();
  let asked = 0;
  const answered = (id) => new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  child.on("message", ({ id, answer, error }) => {
    const { resolve, reject } = waiting.get(id) ?? {};
    waiting.delete(id);
    if (error === undefined) resolve?.(answer);
    else reject?.(new Error(error));
  });
  const over = new Promise((resolve) => {
    child.once("exit", (code) => {
      running.delete(child);
      const gone = new Error(`the ${input.role} ${input.kind} ended with ${code}`);
      for (const { reject } of waiting.values()) reject(gone);
      resolve();
    });
  });
  const hello = await answered(0);
  const ask = (call) => {
    const answer = answered(++asked);
    child.send({ id: asked, call });
    return answer;
  };
  return {
    hello,
    ask,
    end: async () => {
      if (!running.has(child)) return;
      await ask("close");
      child.disconnect();
      await over;
    },
  };
}

/** Ends whatever is left after a round that failed. */
export function killAll() {
  for (const child of running) child.kill("SIGKILL");
}
