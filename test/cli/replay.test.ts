import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReplayResult } from "../../src/cli/replay/coordinator.ts";
import { generateRequests } from "../../src/cli/replay/generate.ts";
import { columns } from "../../src/cli/replay/log.ts";
import type { Subject } from "../../src/cli/replay/report.ts";
import { assertBuilt, run, Run } from "./command.ts";

beforeAll(assertBuilt);

const jsonOf = (output: string): Subject & ReplayResult =>
  JSON.parse(output) as Subject & ReplayResult;

/** Whether a process is there and is not merely waiting to be reaped. */
const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("trellis replay", () => {
  test("runs three processes through a cut, and they agree with the tally", async () => {
    const { status, output, errors } = await run("replay", "--generate", "300", "--json");
    expect(errors).toBe("");
    expect(status).toBe(0);
    const result = jsonOf(output);
    expect(result).toMatchObject({ requests: 300, agrees: true, topology: "mesh", seed: 1 });
    expect(result.verdict.checked.hits).toBe(300);
    expect(result.replicas.map(({ name }) => name)).toEqual([
      "replica-1",
      "replica-2",
      "replica-3",
    ]);
    expect(new Set(result.replicas.map(({ digest }) => digest)).size).toBe(1);
    for (const { figures, caughtUpMs, settledMs } of result.replicas) {
      expect(figures.requestsKnown).toBe(300);
      expect(figures.operations).toBeGreaterThan(0);
      expect(Math.min(figures.framesIn, figures.framesOut)).toBeGreaterThan(0);
      expect(Math.min(figures.bytesIn, figures.bytesOut)).toBeGreaterThan(0);
      expect(caughtUpMs).toBeGreaterThan(0);
      expect(settledMs).toBeGreaterThan(0);
    }
    // Apart, both sides went on: each lacked what the other took.
    expect(result.cut).toMatchObject({ replica: "replica-3", requests: 100 });
    expect(result.cut?.lacked).toBeGreaterThan(0);
    expect(result.cut?.lackedByOthers).toBeGreaterThan(0);
  }, 20_000);

  test.each([
    ["that nobody else has the writes of", []],
    ["that others have more of than its disk", ["--no-cut"]],
  ])(
    "kills a durable replica %s, and counts each request once",
    async (_, more) => {
      // It is killed in the middle, where it mostly has done some, and more than it said: not in each run.
      let isInTheMiddle = false;
      for (let seed = 1; seed <= 4 && !isInTheMiddle; seed++) {
        const { status, output, errors } = await run(
          ...["replay", "--generate", "3000", "--durable", "--json", "--seed", `${seed}`, ...more],
        );
        expect(errors).toBe("");
        expect(status).toBe(0);
        const { agrees, verdict, killed, replicas } = jsonOf(output);
        expect(agrees).toBe(true);
        expect(verdict.checked.hits).toBe(3000);
        expect(replicas.map(({ figures }) => figures.requestsKnown)).toEqual([3000, 3000, 3000]);
        expect(killed).toMatchObject({ replica: "replica-3" });
        const { held = 0, unanswered = 0 } = killed ?? {};
        isInTheMiddle = held > 0 && unanswered > 0;
      }
      expect(isInTheMiddle).toBe(true);
    },
    120_000,
  );

  test("reads a gzip file before --generate, and prints a table that ends with the verdict", async () => {
    const folder = await mkdtemp(join(tmpdir(), "trellis-replay-"));
    try {
      const lines = generateRequests(40, 9).map((request) =>
        columns.map((column) => request[column]).join("\t"),
      );
      const file = join(folder, "requests.tsv.gz");
      await writeFile(file, gzipSync([columns.join("\t"), ...lines, ""].join("\n")));
      const { status, output } = await run(
        ...["replay", "--generate", "10000", "--input", file],
        ...["--replicas", "2", "--topology", "star", "--no-cut"],
      );
      expect(status).toBe(0);
      expect(output).toContain("40 requests of requests.tsv.gz, spread over 2 processes (star");
      expect(output).toContain("no replica was cut off");
      expect(output).toMatch(/│ replica-2 │/u);
      expect(output.trimEnd().split("\n").at(-1)).toBe("agrees");
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 20_000);

  test("ends its processes when it is stopped", async () => {
    await using running = new Run(["replay", "--generate", "100000", "--log-level", "info"]);
    const pids = await running.loggingProcesses(3);
    running.signal("SIGINT");
    const { status, errors } = await running.outcome;
    expect(status).toBe(130);
    expect(errors).toContain("stopped by SIGINT");
    expect(pids.filter(isRunning)).toEqual([]);
  }, 20_000);
});

describe("what is wrong with the command line", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "trellis-wrong-"));
    await writeFile(join(folder, "bad.tsv"), `${columns.join("\t")}\n1\tv\tGET\t/\t2xx\t0\t\n`);
    await writeFile(join(folder, "empty.tsv"), `${columns.join("\t")}\n`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each<[readonly string[], number, string]>([
    [["replay"], 2, "nothing to replay"],
    [["replay", "--generate", "0"], 2, "not an integer from 1"],
    [["replay", "--generate", "9", "--replicas", "33"], 2, "not an integer from 1 to 32"],
    [["replay", "bad.tsv"], 1, 'line 2: status "2xx"'],
    [["replay", "empty.tsv"], 1, "no requests"],
    [["replay", "none.tsv"], 1, "ENOENT"],
    [["fly"], 2, "unknown command"],
  ])("%j ends with status %i and says %s", async (args, status, said) => {
    const outcome = await run(
      ...args.map((arg) => (arg.endsWith(".tsv") ? join(folder, arg) : arg)),
    );
    expect(outcome).toMatchObject({ status, output: "" });
    expect(outcome.errors).toContain(said);
  });
});
