/** The soak that churns, short: `npm run soak:churn` is the long one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { churn, type Sample } from "./churned.ts";

test("elements that come and go, and registers that are written over, leave nothing behind", async () => {
  const directory = await mkdtemp(join(tmpdir(), "trellis-churn-"));
  const samples: Sample[] = [];
  try {
    const faults = await churn({
      directory,
      operations: 40_000,
      live: 1_000,
      samples: 10,
      onSample: (sample) => samples.push(sample),
    });
    expect(faults).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
  expect(samples.length).toBeGreaterThan(5);
  expect(samples.at(-1)).toMatchObject({ operations: 40_000, actors: 1 });
}, 60_000);
