/** The catalogue, the code and the page say the same. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { catalogue, metrics } from "../../src/telemetry/catalogue.ts";
import { withTable } from "./metrics-page.ts";

const root = join(import.meta.dirname, "../..");

/** The code that may emit, without what shows figures. */
const code = readdirSync(join(root, "src"), { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((path) => !/src\/(?:telemetry\/|cli\/bench|cli\/replay)/u.test(path))
  .map((path) => readFileSync(path, "utf8"))
  .join("\n");

/** Names that are given to the telemetry, directly or by a constant. */
const emitted = new Set(
  [...code.matchAll(/"(trellis_[a-z_]+)"/gu)].map(([, name]) => String(name)),
);

test("each metric is there once", () => {
  expect(metrics.size).toBe(catalogue.length);
});

test.each(catalogue)("$name follows the convention", ({ name, kind, unit, labels, ...metric }) => {
  expect(name).toMatch(/^trellis_[a-z]+(?:_[a-z]+)*$/u);
  expect(name.endsWith("_total")).toBe(kind === "counter");
  const last = unit === "ms" || unit === "bytes" ? `_${unit}` : "";
  expect(name).toMatch(new RegExp(`${last}(?:_total)?$`, "u"));
  for (const label of labels) expect(label).toMatch(/^[a-z]+$/u);
  expect(metric.help).toMatch(/^[A-Z1`].*\.$/u);
  expect(metric.buckets.length > 0).toBe(kind === "distribution");
  expect([...metric.buckets].toSorted((a, b) => a - b)).toEqual(metric.buckets);
});

test("all that the code emits is in the catalogue", () => {
  expect([...emitted].filter((name) => !metrics.has(name))).toEqual([]);
});

test("all that the catalogue has is emitted", () => {
  expect(catalogue.map(({ name }) => name).filter((name) => !emitted.has(name))).toEqual([]);
});

// `npx vitest run test/telemetry/catalogue.test.ts -u` writes the page anew.
test("docs/metrics.md has the table of the catalogue", async () => {
  const path = join(root, "docs/metrics.md");
  await expect(withTable(readFileSync(path, "utf8"))).toMatchFileSnapshot(path);
});
