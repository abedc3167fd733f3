/**
 * Runs a command beside real servers: `npm run servers -- COMMAND ARGUMENTS`. It finds them in its
 * environment, under the names that the tests read. Without a command they are printed, and serve
 * until this is interrupted. However this ends, they end with it.
 */
import { spawn } from "node:child_process";
import { isSkipped } from "../../src/cli/servers/installed.ts";
import { serviceNames, services, SharedServers } from "../../src/cli/servers/shared.ts";

const interrupted = new Promise<number>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(130));
});

const print = (line: string): void => void process.stdout.write(`${line}\n`);

async function start(shared: SharedServers): Promise<Readonly<Record<string, string>>> {
  const startMs = performance.now();
  const names = serviceNames.filter((name) => !isSkipped(services[name].kind));
  const entries = names.map(
    async (name) => [services[name].variable, (await shared.addresses(name)).join()] as const,
  );
  const environment = Object.fromEntries(await Promise.all(entries));
  for (const [variable, value] of Object.entries(environment)) print(`${variable}=${value}`);
  print(`# ready after ${Math.round(performance.now() - startMs)} ms`);
  return environment;
}

async function run(command: string, args: string[], environment: object): Promise<number> {
  const child = spawn(command, args, {
    env: { ...process.env, ...environment },
    stdio: "inherit",
  });
  void interrupted.then(() => child.kill());
  return await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

await using shared = new SharedServers();
const work = start(shared).then(async (environment) => {
  const [command, ...args] = process.argv.slice(2);
  if (command !== undefined) return await run(command, args, environment);
  // A timer, since a promise alone keeps no process.
  const wait = setInterval(() => undefined, 1 << 30);
  return await interrupted.finally(() => clearInterval(wait));
});
process.exitCode = await Promise.race([work, interrupted]);
