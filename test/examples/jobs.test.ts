/** The examples of jobs, started several times over a real Redis and killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../src/cli/servers/until.ts";
import { assertBuilt } from "../cli/command.ts";
import { isServiceSkipped, service } from "../servers/service.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const limitMs = 30_000;
const children: ChildProcess[] = [];

beforeAll(assertBuilt);

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

/** One more process of an example, and what it has printed. */
class Example {
  readonly child: ChildProcess;
  output = "";

  constructor(file: string, args: readonly string[], url: string) {
    const path = join(root, "examples/jobs", file);
    this.child = spawn(process.execPath, [path, "--redis", url, ...args], { cwd: root });
    children.push(this.child);
    const take = (text: string): void => void (this.output += text);
    this.child.stdout?.setEncoding("utf8").on("data", take);
    this.child.stderr?.setEncoding("utf8").on("data", take);
  }

  /** The numbers that `pattern` captures, of all lines. */
  numbers(pattern: RegExp): bigint[] {
    return [...this.output.matchAll(pattern)].map(([, number = ""]) => BigInt(number));
  }
}

describe.skipIf(isServiceSkipped("redis"))("over Redis", () => {
  test("a job goes on at another process when its runner is killed, under larger tokens", async () => {
    const [url = ""] = await service("redis");
    const start = (name: string): Example =>
      new Example("singleton-job.mjs", ["--name", name, "--every", "300"], url);
    const [one, two] = [start("one"), start("two")];
    const runs = /report of run (\d+)/gu;
    await until(
      "three runs",
      limitMs,
      () => one.numbers(runs).length + two.numbers(runs).length >= 3,
    );
    const [runner, other] = one.numbers(runs).length > 0 ? [one, two] : [two, one];
    runner.child.kill("SIGKILL");
    const last = [...one.numbers(runs), ...two.numbers(runs)].reduce((a, b) => (a > b ? a : b));
    await until("runs of the other", limitMs, () => other.numbers(runs).some((run) => run > last));
    const all = [...one.numbers(runs), ...two.numbers(runs)];
    expect(new Set(all).size).toBe(all.length);
  }, 60_000);

  test("shards go over to another process: at once with their place when one leaves, after a kill, too", async () => {
    const [url = ""] = await service("redis");
    const start = (name: string): Example =>
      new Example("shard-owner.mjs", ["--name", name, "--shards", "2"], url);
    const owns = /owns shard (\d+) under/gu;
    const one = start("one");
    await until("one owns both", limitMs, () => new Set(one.numbers(owns)).size === 2);
    const two = start("two");
    await until("two waits", limitMs, () => two.child.pid !== undefined);
    one.child.kill("SIGTERM");
    await until("two owns both", limitMs, () => new Set(two.numbers(owns)).size === 2);
    const left = [...one.output.matchAll(/left shard (\d+) at (\d+)/gu)];
    expect(left).toHaveLength(2);
    for (const [, shard, offset] of left) {
      expect(two.output).toMatch(new RegExp(`owns shard ${shard} under \\d+, from ${offset}`, "u"));
    }
    two.child.kill("SIGKILL");
    const three = start("three");
    await until("three owns both", limitMs, () => new Set(three.numbers(owns)).size === 2);
  }, 60_000);

  test("an owner that stands still past its time learns that it lost its shard, and another has it", async () => {
    const [url = ""] = await service("redis");
    const start = (name: string): Example =>
      new Example("shard-owner.mjs", ["--name", name, "--shards", "1"], url);
    const owns = /owns shard \d+ under (\d+)/gu;
    const one = start("one");
    await until("one owns it", limitMs, () => one.numbers(owns).length === 1);
    const two = start("two");
    one.child.kill("SIGSTOP");
    await until("two owns it", limitMs, () => two.numbers(owns).length === 1);
    one.child.kill("SIGCONT");
    await until("one has learnt it", limitMs, () => one.output.includes("lost shard 0"));
    expect((two.numbers(owns)[0] ?? 0n) > (one.numbers(owns)[0] ?? 0n)).toBe(true);
  }, 60_000);
});
