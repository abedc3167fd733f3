/** The model of the protocol, as a program of its own: it holds, and each broken rule is found. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const model = fileURLToPath(new URL("../models/escrow.mjs", import.meta.url));
const timeout = 120_000;

/** What it prints. */
const runModel = (...args: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    execFile(process.execPath, [model, ...args], (_error, stdout) => resolve(stdout));
  });

test("the model passes no bound, and counts each key once", { timeout }, async () => {
  expect(await runModel("4000")).toBe("fault none: wrong in 0 of 4000\n");
});

test.each([
  ...["no-witness", "no-serial", "ack-first", "free-block", "reopen", "not-final", "message"],
  ...["claim-first", "no-key", "create-first", "create-last"],
])("the model finds out what goes wrong with %s", { timeout }, async (fault) => {
  expect(await runModel("4000", fault)).toMatch(/: wrong in [1-9]/u);
});

test("the model finds out an answer that comes before the witness", { timeout }, async () => {
  expect(await runModel("seed:50", "witness-last")).toContain("oversold");
});
