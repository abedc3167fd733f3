/** The command as it is installed: what it runs, prints and leaves, and that a strategy is one file. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Results } from "../../src/cli/bench/results.ts";
import { assertBuilt, run } from "../cli/command.ts";

let folder = "";

beforeAll(assertBuilt);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "trellis-bench-test-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const resultsIn = async (path: string): Promise<Results> =>
  JSON.parse(await readFile(join(path, "results.json"), "utf8")) as Results;

test("the embedded default is measured without any server, and only the strawman breaks a rule", async () => {
  const only = ["--only", "trellis-escrow,trellis-combined,strawman-pn-counter"];
  const { status, output, errors } = await run("bench", ...only, "--out", folder);
  expect(errors).toContain("trellis-escrow, stock");
  expect(status).toBe(0);
  expect(output).toContain("Invariants broken: none, except by the strawman");
  const { cells, strategies } = await resultsIn(folder);
  expect(strategies.map(({ name }) => name)).toEqual([
    ...["strawman-pn-counter", "trellis-combined", "trellis-escrow"],
  ]);
  for (const { strategy, measures, error } of cells) {
    expect({ strategy, error }).toEqual({ strategy, error: undefined });
    expect(measures?.perSecond).toBeGreaterThan(0);
    expect(measures?.latency?.samples).toBeGreaterThan(10);
  }
  const broken = cells.filter(({ measures }) => measures?.violations.total !== 0);
  expect(broken.map(({ strategy }) => strategy)).toEqual(["strawman-pn-counter"]);
  expect(broken[0]?.measures?.violations.oversold).toBeGreaterThan(0);
  expect(await readFile(join(folder, "report.html"), "utf8")).toContain("trellis-escrow");
}, 60_000);

test("what nobody has is refused with the names that there are", async () => {
  const { status, errors } = await run("bench", "--only", "redis-luck", "--out", folder);
  expect(status).toBe(2);
  expect(errors).toContain("no such strategy: redis-luck");
  expect(errors).toContain("redis-lock");
  const workload = await run("bench", "--workload", "dislikes", "--out", folder);
  expect(workload.errors).toContain("no such workload: dislikes");
  const server = await run("bench", "--server", "oracle://127.0.0.1:1", "--out", folder);
  expect(server.status).toBe(2);
  expect(server.errors).toContain("names no server");
});

test("a strategy that is added as one file is listed, measured and judged like the others", async () => {
  const root = new URL("../../", import.meta.url).pathname;
  await cp(join(root, "dist"), join(folder, "dist"), { recursive: true });
  await cp(join(root, "package.json"), join(folder, "package.json"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  await writeFile(
    join(folder, "dist/cli/bench/strategies/plain-map.js"),
    `export const strategy = {
      name: "plain-map", title: "a map in each process, told to nobody", family: "replicated",
      volatile: "nothing", workloads: ["likes"],
      async open() {
        const map = new Map();
        return {
          add: (key, amount) => void map.set(key, (map.get(key) ?? 0) + amount),
          count: (keys) => keys.map((key) => map.get(key) ?? 0),
          close: async () => undefined,
        };
      },
    };`,
  );
  const main = join(folder, "dist/cli/main.js");
  const out = join(folder, "out");
  const child = spawn(process.execPath, [main, "bench", "--only", "plain-map", "--out", out]);
  const status = await new Promise((resolve) => child.once("exit", resolve));
  const [cell] = (await resultsIn(out)).cells;
  // Nobody else hears of a like: most of them are lost, and the nodes never agree.
  expect(cell?.measures?.violations.lost).toBeGreaterThan(0);
  expect(cell?.measures?.violations.divergent).toBeGreaterThan(0);
  expect(status).toBe(1);
}, 60_000);
