/** The real escrow under seeds, with everything that can go wrong between it, its disk and the store. */
import { describe, expect, test } from "vitest";
import { type Flaw, flaws } from "./simulation/flaws.ts";
import { type Dwelling, simulateRights } from "./simulation/run.ts";

const only = process.env["TRELLIS_SEED"];
const seeds = Array.from({ length: 24 }, (_, i) => i + 1);
const timeout = 180_000;

/** What must have happened, or the runs prove nothing. */
const sights = [
  ...[
    "take done",
    "take refused",
    "take unknown",
    "add done",
    "kill",
    "open",
    "leave",
    "pause",
    "cut",
  ],
  ...["copy", "back", "weather", "disk", "reboot", "InsufficientError", "RightsUnavailableError"],
];

/** Where each flaw shows soonest. */
const dwellingOf: Readonly<Record<Flaw, Dwelling>> = {
  "believes every directory": "copies",
  "is told by its disk too early": "crashes",
  "spends a block that the disk does not count": "crashes",
  "counts a grant again": "network",
};

describe("rights in bad weather", () => {
  test(
    "are spent once: what an outside ledger says holds, and at rest all is sold that is not shown as stranded",
    { timeout },
    async () => {
      const counts: Record<string, number> = {};
      for (const seed of only === undefined ? seeds : [Number(only)]) {
        const outcome = await simulateRights({ seed });
        expect(outcome.faults, `TRELLIS_SEED=${seed} fails again`).toEqual([]);
        for (const [what, times] of Object.entries(outcome.counts)) {
          counts[what] = (counts[what] ?? 0) + times;
        }
      }
      expect(only === undefined ? sights.filter((sight) => !counts[sight]) : []).toEqual([]);
    },
  );

  test("are the same under the same seed", { timeout }, async () => {
    expect(await simulateRights({ seed: 7 })).toEqual(await simulateRights({ seed: 7 }));
  });

  test.each(flaws)("a replica that %s is found out", { timeout }, async (flaw: Flaw) => {
    let found: readonly string[] = [];
    for (let seed = 1; seed <= 150 && found.length === 0; seed++) {
      ({ faults: found } = await simulateRights({ seed, flaw, dwelling: dwellingOf[flaw] }));
    }
    expect(found).not.toEqual([]);
  });
});
