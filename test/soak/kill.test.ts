/** The soak that kills, short: `npm run soak:kill` is the long one. And its ledger sees what it is there for. */
import { execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { Ledger } from "./ledger.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Apart from what other commands build, which may be running. */
const built = "dist-simulation/kill-test";
const soakMsMax = 170_000;

describe("replicas that are killed", () => {
  // Processes run what is compiled.
  beforeAll(async () => {
    const options = ["-p", "tsconfig.simulation.json", "--noCheck", "--outDir", built];
    await promisify(execFile)("node_modules/.bin/tsc", options, { cwd: root });
  });

  test("lose nothing that they acknowledged, and count nothing twice", async () => {
    const { status, output } = await soak("--seconds", "6", "--seed", "1");
    expect(output).toContain("seed 1");
    expect(output).toContain("ok: nothing acknowledged is missing");
    expect(output).not.toMatch(/^(?:kills|restarts) +0\b|: 0 acknowledged/mu);
    expect(status).toBe(0);
  }, 180_000);
});

describe("the ledger", () => {
  const sound = { faults: [] };

  test("lets an operation be there or not while it is not acknowledged", () => {
    const ledger = new Ledger();
    ledger.acknowledge(ledger.ask("a", 2));
    ledger.ask("b", 2);
    const view = { ...sound, held: [[0, 3]] as const };
    expect(ledger.checkConverged(new Map([["a", view]]))).toEqual([]);
    expect(ledger.survived(view)).toBe(1);
  });

  test("sees what is missing on a replica", () => {
    const ledger = new Ledger();
    ledger.acknowledge(ledger.ask("a", 2));
    const view = { ...sound, held: [[0, 1]] as const };
    expect(ledger.checkConverged(new Map([["b", view]]))).toEqual([
      "b lacks operation 1, acknowledged by a",
    ]);
    expect(ledger.checkReopened("a", view)).toHaveLength(1);
    // Another's word does not bind a disk.
    expect(ledger.checkReopened("b", view)).toEqual([]);
  });

  test("sees that replicas differ, and what they say of themselves", () => {
    const ledger = new Ledger();
    ledger.ask("a", 2);
    const views = new Map([
      ["a", { faults: ["operation 0 counts 2 times"], held: [[0, 1]] as const }],
      ["b", { ...sound, held: [[1, 2]] as const }],
    ]);
    expect(ledger.checkConverged(views)).toEqual([
      "a: operation 0 counts 2 times",
      "the replicas differ",
    ]);
  });
});

async function soak(
  ...args: readonly string[]
): Promise<{ readonly status: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [`${built}/test/soak/kill.js`, ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    timeout: soakMsMax,
    killSignal: "SIGKILL",
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, output };
}
