#!/usr/bin/env node
/**
 * The shared list on two peers, as two processes on loopback. Prints where each is; one that is killed is started
 * again after five seconds. Ctrl-C (or SIGTERM) ends both, and nothing else.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const usage = `usage: npm run example:shared-list -- [--ports 7101,7102] [--dir DIR]
  --ports ONE,TWO  where they listen, on loopback
  --dir DIR        keeps their data there; default: a new temporary folder, removed at the end`;

const { values } = parseArgs({
  options: {
    ports: { type: "string", default: "7101,7102" },
    dir: { type: "string" },
    help: { type: "boolean" },
  },
});
const ports = values.ports.split(",");
const areFine = ports.length === 2 && ports.every((port) => Number(port) > 0);
if (values.help || !areFine) {
  console.log(usage);
  process.exit(values.help ? 0 : 2);
}

const program = fileURLToPath(new URL("peer.mjs", import.meta.url));
const dir = resolve(values.dir ?? mkdtempSync(join(tmpdir(), "trellis-shared-list-")));
const againMs = 5_000;
const running = new Set();
let isStopping = false;

/** Starts a peer; resolves when its page can be opened. */
function start(index) {
  const name = `peer-${index + 1}`;
  const args = ["--name", name, "--storage", join(dir, name)];
  args.push("--port", ports[index], "--other", ports[1 - index]);
  if (index === 0) args.push("--host-locks");
  return new Promise((opened) => {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let url;
    running.add(child);
    child.stdout.setEncoding("utf8").once("data", (text) => {
      url = text.trim();
      console.log(`${name}  ${url}  (process ${child.pid})`);
      opened();
    });
    child.once("close", (code, signal) => {
      running.delete(child);
      if (isStopping) return;
      // What never ran does not mend by starting again: a port that is taken, for instance.
      if (url === undefined) return stop(1);
      console.log(`${name} ended (${signal ?? code}) and starts again in ${againMs / 1_000} s`);
      setTimeout(() => {
        if (!isStopping) void start(index);
      }, againMs).unref();
    });
  });
}

/** Ends what was started, and then this process. */
function stop(status) {
  if (isStopping) return;
  isStopping = true;
  process.exitCode = status;
  for (const child of running) {
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 20_000).unref();
  }
}

process.on("SIGINT", () => stop(0));
process.on("SIGTERM", () => stop(0));
process.on("exit", () => {
  if (values.dir === undefined) rmSync(dir, { recursive: true, force: true });
});
await Promise.all([start(0), start(1)]);
console.log("Open both, side by side. Ctrl-C ends them.");
