/** Runs the commands that measure, built as they build themselves, and reads what they print. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

/** What a command printed. */
export interface Measured {
  readonly stdout: string;
  /** In order: the heading, and the cells of each row, the head of the table first. */
  readonly tables: readonly (readonly [string, readonly string[][]])[];
}

/** Measures these rows, quickly. */
export const measure = (script: string, rows: readonly string[]): Promise<Measured> =>
  measureWith(script, ["--quick", "--only", rows.join(",")]);

/** Builds, and runs the command with these arguments; all that it takes of Trellis is out of that build. */
export async function measureWith(script: string, args: readonly string[]): Promise<Measured> {
  const build = ["-p", "tsconfig.simulation.json", "--outDir", "dist-simulation/bench"];
  await run("node_modules/.bin/tsc", build, { cwd: root });
  const env = { ...process.env, TRELLIS_DIST: `${root}dist-simulation/bench/src` };
  const { stdout } = await run(process.execPath, [`benchmarks/${script}`, ...args], {
    cwd: root,
    env,
  });
  return { stdout, tables: [...tablesIn(stdout)] };
}

/** The cells of the rows of all tables, by the heading of their table. */
function tablesIn(output: string): Map<string, string[][]> {
  const tables = new Map<string, string[][]>();
  let found: string[][] = [];
  let before = "";
  for (const line of output.split("\n")) {
    if (line.startsWith("┌")) tables.set(before, (found = []));
    else if (line.startsWith("│")) {
      found.push(
        line
          .split("│")
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    }
    before = line;
  }
  return tables;
}
