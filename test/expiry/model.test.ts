/** The model of expiry, as a program of its own: it holds, and each broken rule is found. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const model = fileURLToPath(new URL("../models/expiry.mjs", import.meta.url));
const timeout = 120_000;

/** What it prints. */
const runModel = (...args: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    execFile(process.execPath, [model, ...args], (_error, stdout) => resolve(stdout));
  });

test("the model shows what its specification says, and forgets it", { timeout }, async () => {
  expect(await runModel("2000")).toBe("fault none: wrong in 0 of 2000\n");
});

test.each([
  ...["one-phase", "at-read", "no-grace", "expire-now", "unstable", "half-stable", "ack-memory"],
  ...["apart", "touch-less", "uncleared", "not-swept"],
])("the model finds out what goes wrong with %s", { timeout }, async (fault) => {
  expect(await runModel("600", fault)).toMatch(/: wrong in [1-9]/u);
});
