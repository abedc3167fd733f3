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
export async function measure(script: string, rows: readonly string[]): Promise<Measured> {
  const build = ["-p", "tsconfig.simulation.json", "--outDir", "dist-simulation/bench"];
  await run("node_modules/.bin/tsc", build, { cwd: root });
  const args = [`benchmarks/${script}`, "--quick", "--only", rows.join(",")];
  const { stdout } = await run(process.execPath, args, { cwd: root });
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
