/**
 * A job that runs once, however many processes ask for it: start this file several times, and kill the one that prints.
 *
 *   node examples/jobs/singleton-job.mjs --name one --redis redis://127.0.0.1:6379
 */
import { parseArgs } from "node:util";
import { openLocks } from "trellis-state/locks";
import { backendOf } from "./backend.mjs";

const { values: flags } = parseArgs({
  options: {
    name: { type: "string", default: `process ${process.pid}` },
    every: { type: "string", default: "2000" },
    redis: { type: "string" },
    etcd: { type: "string" },
  },
});

const locks = openLocks(await backendOf(flags));
const job = locks.singleton(
  "report/hourly",
  async ({ token, signal }) => {
    // Whoever takes the report refuses a token that is smaller than one it has seen.
    console.log(`${flags.name}: report of run ${token}`);
    if (signal.aborted) return;
  },
  {
    every: Number(flags.every),
    runner: flags.name,
    ttlMs: 2_000,
    onError: (error) => console.error(flags.name, error),
  },
);

let closing;
const close = async () => {
  await job.stop();
  await locks[Symbol.asyncDispose]();
};
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => void (closing ??= close()));
