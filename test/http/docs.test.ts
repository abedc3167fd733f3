/** docs/http.md says what works: its commands are run by bash, one after the other, and print what it prints. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { served } from "./scene.ts";

const page = readFileSync(new URL("../../docs/http.md", import.meta.url), "utf8");
const examples = [...page.matchAll(/^```sh\n([\s\S]*?)^```\n\n```text\n([\s\S]*?)^```$/gmu)];

test("the examples of docs/http.md print what it says", async () => {
  await using peer = await served();
  expect(examples.length).toBe([...page.matchAll(/^```sh$/gmu)].length);
  for (const [, commands = "", printed] of examples) {
    const { stdout } = await promisify(execFile)("bash", ["-c", commands], {
      env: { ...process.env, TRELLIS: peer.url },
      timeout: 30_000,
    });
    expect(stdout).toBe(printed);
  }
}, 120_000);

test("the bounds that docs/http.md names are those that there are", async () => {
  const { defaultLimits } = await import("../../src/http/options.ts");
  for (const [, name = ""] of page.matchAll(/`(\w+(?:Max|Share|WindowMs|GateMs))`/gu)) {
    expect(Object.keys(defaultLimits)).toContain(name);
  }
});
