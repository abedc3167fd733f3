/** Servers end with the process that started them, however that ends, and take their data with them. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { isSkipped, serverKinds } from "../../src/cli/servers/installed.ts";
import { processStart, processTree } from "../../src/cli/servers/process-tree.ts";
import { until } from "../../src/cli/servers/until.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Apart from what other commands build, which may be running. */
const built = "dist-simulation/servers-test";
const readyMsMax = 60_000;
const goneMsMax = 40_000;

let directory: string;
let child: ChildProcess;
let output: string;
/** When each began, by its number. */
let remembered: ReadonlyMap<number, string> = new Map();

const startAll = (...command: readonly string[]): void => {
  output = "";
  child = spawn(process.execPath, [`${built}/test/servers/run.js`, ...command], {
    cwd: root,
    env: { ...process.env, TMPDIR: directory },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
};

const isReady = (): boolean => output.includes("# ready");
/** Those of the child, remembered so that a test that fails leaves none. */
function processes(): readonly number[] {
  const pids = processTree(child.pid ?? -1);
  remembered = new Map(pids.map((pid) => [pid, processStart(pid) ?? ""]));
  return pids;
}

/** Whether it is still the process that was remembered. */
const isAlive = (pid: number): boolean => processStart(pid) === remembered.get(pid);

/** Processes that name the directory among their arguments, whoever started them. */
const named = (): readonly string[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name) && name !== String(process.pid))
    .flatMap((pid) => {
      try {
        const text = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return text.includes(directory) ? [text] : [];
      } catch {
        return [];
      }
    });

interface Leftovers {
  readonly alive: readonly number[];
  readonly files: readonly string[];
  readonly named: readonly string[];
}

const nothing: Leftovers = { alive: [], files: [], named: [] };

/** What there is still of `pids` and in the directory, once that is nothing or it was waited long enough. */
const leftovers = async (pids: readonly number[]): Promise<Leftovers> => {
  const look = (): Leftovers => ({
    alive: pids.filter(isAlive),
    files: readdirSync(directory),
    named: named(),
  });
  const isNothing = (): boolean => {
    const left = look();
    return left.alive.length + left.files.length + left.named.length === 0;
  };
  await until("nothing is left", goneMsMax, isNothing).catch(() => undefined);
  return look();
};

describe.skipIf(serverKinds.every(isSkipped))("servers", () => {
  // Processes run what is compiled.
  beforeAll(async () => {
    const options = ["-p", "tsconfig.simulation.json", "--noCheck", "--outDir", built];
    await promisify(execFile)("node_modules/.bin/tsc", options, { cwd: root });
  });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "trellis-orphans-"));
    // Servers that run as other users go through it.
    chmodSync(directory, 0o711);
  });

  afterEach(() => {
    child.kill("SIGKILL");
    for (const pid of remembered.keys()) if (isAlive(pid)) process.kill(pid, "SIGKILL");
    remembered = new Map();
    rmSync(directory, { recursive: true, force: true });
  });

  test("end with a process that is killed, though they stand themselves", async () => {
    startAll();
    await until("all are ready", readyMsMax, isReady);
    const pids = processes();
    const [main, ...below] = pids;
    // The watch, which is the only shell among them, goes on.
    const servers = below.filter(
      (pid) => !readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("sh\n"),
    );
    expect(servers.length).toBeGreaterThan(0);
    expect(readdirSync(directory)).toHaveLength(1);
    for (const pid of servers) process.kill(pid, "SIGSTOP");
    if (main !== undefined) process.kill(main, "SIGKILL");
    expect(await leftovers(pids)).toEqual(nothing);
  }, 120_000);

  test.each([50, 150, 400, 900, 1_600])(
    "end with a process that is killed after %i ms",
    async (afterMs) => {
      startAll();
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      const pids = processes();
      child.kill("SIGKILL");
      expect(await leftovers(pids)).toEqual(nothing);
    },
    120_000,
  );

  test("end with an interrupt", async () => {
    startAll();
    await until("all are ready", readyMsMax, isReady);
    const pids = processes();
    child.kill("SIGINT");
    await until("it ended", readyMsMax, () => child.exitCode !== null);
    expect(child.exitCode).toBe(130);
    expect(await leftovers(pids)).toEqual(nothing);
  }, 120_000);

  test("serve a command, whose end is theirs and whose status is kept", async () => {
    startAll("sh", "-c", "env; exit 7");
    await until("it ended", readyMsMax, () => child.exitCode !== null);
    expect(child.exitCode).toBe(7);
    const variables = output.split("# ready")[0]?.match(/^TRELLIS_TEST_\w+=.+$/gmu) ?? [];
    expect(variables.length).toBeGreaterThan(0);
    expect(output.split("# ready")[1]?.split("\n")).toEqual(expect.arrayContaining(variables));
    expect(await leftovers([])).toEqual(nothing);
  }, 120_000);
});
