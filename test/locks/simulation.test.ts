/** Clients, layers and guard under seeds, with everything that can go wrong between them. */
import { describe, expect, test } from "vitest";
import { type Flaw, flaws } from "./simulation/broken.ts";
import { simulateLocks } from "./simulation/run.ts";

const only = process.env["TRELLIS_SEED"];
const seeds = Array.from({ length: 50 }, (_, i) => i + 1);
const timeout = 120_000;

/** What must have happened, or the runs prove nothing. */
const sights = [
  ...["applied", "refused", "unknown", "add applied", "add unknown", "leases", "beliefs"],
  ...["transfers", "audits", "jobs", "pause", "crash", "step"],
];

describe("locks in bad weather", () => {
  test(
    "keep what an outside ledger says, whatever is late, lost, doubled, paused and killed",
    {
      timeout,
    },
    async () => {
      const counts: Record<string, number> = {};
      for (const seed of only === undefined ? seeds : [Number(only)]) {
        const outcome = await simulateLocks(seed);
        expect(outcome.faults, `TRELLIS_SEED=${seed} fails again`).toEqual([]);
        for (const [what, times] of Object.entries(outcome.counts)) {
          counts[what] = (counts[what] ?? 0) + times;
        }
      }
      expect(only === undefined ? sights.filter((sight) => !counts[sight]) : []).toEqual([]);
    },
  );

  test("are the same under the same seed", { timeout }, async () => {
    expect(await simulateLocks(7)).toEqual(await simulateLocks(7));
  });

  test.each(flaws)("a store that %s is found out", { timeout }, async (flaw: Flaw) => {
    let found: readonly string[] = [];
    for (let seed = 1; seed <= 40 && found.length === 0; seed++) {
      ({ faults: found } = await simulateLocks(seed, flaw));
    }
    expect(found).not.toEqual([]);
  });
});
