/** Soaks as tests run them: compiled, since their processes run what is compiled, and with an end. */
import { execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));
const soakMsMax = 170_000;

/** What came of a run. */
export interface SoakRun {
  readonly status: number | null;
  readonly output: string;
}

/** Compiles into a folder apart from what other commands build, which may be running. */
export async function compileSoaks(built: string): Promise<void> {
  const options = ["-p", "tsconfig.simulation.json", "--noCheck", "--outDir", built];
  await promisify(execFile)("node_modules/.bin/tsc", options, { cwd: root });
}

/** Runs one of those that were compiled there. */
export async function runSoak(
  built: string,
  soak: string,
  ...args: readonly string[]
): Promise<SoakRun> {
  const child = spawn(process.execPath, [`${built}/test/soak/${soak}.js`, ...args], {
    ...{ cwd: root, timeout: soakMsMax, killSignal: "SIGKILL" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, output };
}
