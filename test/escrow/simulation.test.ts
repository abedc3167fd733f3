import { expect, test } from "vitest";
import { simulateRights } from "./simulation/run.ts";

const only = process.env["TRELLIS_SEED"];
test("sim", { timeout: 300_000 }, async () => {
  const counts: Record<string, number> = {};
  let failed = 0;
  const first = Number(only ?? 1),
    last = only ? first : Number(process.env["LAST"] ?? 60);
  for (let seed = first; seed <= last; seed++) {
    const outcome = await simulateRights({ seed });
    for (const [what, times] of Object.entries(outcome.counts))
      counts[what] = (counts[what] ?? 0) + times;
    if (outcome.faults.length > 0) {
      failed++;
      console.log(seed, outcome.faults.slice(0, 3));
    }
    if (failed > 6) break;
  }
  console.log(counts);
  expect(failed).toBe(0);
});
