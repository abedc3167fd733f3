import { expect, test } from "vitest";
import { Random } from "../simulation/virtual-environment.ts";
import { fuzz } from "./mutation.ts";

test("wrong frames are refused without a trace, or taken whole", { timeout: 90_000 }, () => {
  const seed = Number(process.env["TRELLIS_SEED"] ?? 1);
  const outcomes = fuzz({ seed, inputs: 20_000, random: new Random(seed) });
  expect(outcomes.refused).toBeGreaterThan(5_000);
  expect(outcomes.taken).toBeGreaterThan(500);
});
