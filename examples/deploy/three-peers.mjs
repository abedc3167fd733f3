#!/usr/bin/env node
/**
 * The three peers of docker/compose.yaml as processes on loopback, with the same settings, TLS and tokens.
 *
 * Prints one JSON line for each peer that runs ({ name, url, pid }), and one when all do ({ ready, secrets }).
 * A peer that ends by itself or is killed is started again after a second, as Docker would; its line is printed
 * again. SIGTERM or SIGINT ends them all, and nothing else.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const usage = `usage: three-peers.mjs [--dir DIR] [--ports 7001,7002,7003 | --ports auto] [--via NAME=PORT]
  --dir DIR        secrets, data and logs go there; default: a new temporary folder
  --ports PORTS    one for each peer; auto takes free ones
  --via NAME=PORT  the others reach NAME at this port of loopback, and it dials nobody: put a proxy
                   there, which may cut it off`;

const { values } = parseArgs({
  options: {
    dir: { type: "string" },
    ports: { type: "string", default: "7001,7002,7003" },
    via: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const here = dirname(fileURLToPath(import.meta.url));
const main = resolve(here, "../../dist/cli/main.js");
const command = existsSync(main) ? [process.execPath, main] : ["trellis"];
const dir = resolve(values.dir ?? mkdtempSync(join(tmpdir(), "trellis-peers-")));
const names = ["peer-1", "peer-2", "peer-3"];

/** Ports that were free a moment ago. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise((bound) => server.listen(0, "127.0.0.1", bound));
      return server;
    }),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

const ports =
  values.ports === "auto" ? await freePorts(names.length) : values.ports.split(",").map(Number);
const [viaName, viaPort] = values.via?.split("=") ?? [];

mkdirSync(dir, { recursive: true });
execFileSync(join(here, "secrets.sh"), [join(dir, "secrets")], { stdio: "pipe" });

/** As the service of that name in compose.yaml. */
function environmentOf(name) {
  const others = names.filter((other) => other !== name);
  const urlOf = (other) =>
    `wss://127.0.0.1:${other === viaName ? viaPort : ports[names.indexOf(other)]}`;
  return {
    TRELLIS_CONFIG: join(here, "peer.yaml"),
    TRELLIS_NAME: name,
    TRELLIS_LISTEN_PORT: String(ports[names.indexOf(name)]),
    TRELLIS_JOIN: name === viaName ? "" : others.map(urlOf).join(","),
    TRELLIS_STORAGE: `data/${name}`,
    // The first is the lock authority, and nobody copies its directory.
    ...(name === "peer-1" ? { TRELLIS_LOCKS_HOST: "true", TRELLIS_STORAGE_EXCLUSIVE: "true" } : {}),
  };
}

const running = new Map();
let isStopping = false;

/** Starts a peer; resolves when it says where it listens. */
function start(name) {
  return new Promise((listening) => {
    const log = openSync(join(dir, `${name}.log`), "a");
    const [file, ...first] = command;
    const child = spawn(file, [...first, "peer"], {
      cwd: dir,
      env: { ...process.env, ...environmentOf(name) },
      stdio: ["ignore", "pipe", log],
    });
    running.set(name, child);
    child.stdout.setEncoding("utf8").once("data", (text) => {
      console.log(JSON.stringify({ name, url: text.trim(), pid: child.pid }));
      listening();
    });
    child.once("close", (code, signal) => {
      running.delete(name);
      if (isStopping) return;
      console.log(JSON.stringify({ name, ended: code ?? signal }));
      // Wrong settings do not mend by starting again.
      if (code === 2) stop(1);
      else {
        setTimeout(() => {
          if (!isStopping) void start(name);
        }, 1_000);
      }
    });
  });
}

/** Ends what was started, and then this process. */
function stop(status) {
  if (isStopping) return;
  isStopping = true;
  process.exitCode = status;
  for (const child of running.values()) {
    // One that was stopped hears nothing.
    child.kill("SIGCONT");
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 25_000).unref();
  }
}

process.on("SIGTERM", () => stop(0));
process.on("SIGINT", () => stop(0));
await Promise.all(names.map(start));
console.log(JSON.stringify({ ready: true, dir, secrets: join(dir, "secrets") }));
