/** Redlock's agreement under seeds: real clients, masters in memory that do what the scripts do, bad weather. */
import { describe, expect, test } from "vitest";
import { type RedlockFlaw, simulateRedlock } from "./simulation/redlock-run.ts";

const only = process.env["TRELLIS_SEED"];
/** More: `npm run simulate:redlock -- --seeds 20000`. */
const seeds = Array.from({ length: 200 }, (_, i) => i + 1);
const timeout = 120_000;

/** What must have happened, or the runs prove nothing. */
const sights = [
  ...["applied", "refused", "unknown", "leases", "beliefs", "sights", "jobs", "pause", "crash"],
  ...["step", "master pause", "master crash", "all crash", "leap"],
];

/** Seeds that failed once, and what was mended. */
const failedOnce = [
  [94, "a write that a minority took, of which nobody could be asked then, was told as not sent"],
  [702, "an acquire that was asked again took the lease from itself"],
  [911, "what a minority took came back, after another had been granted without it"],
] as const;

/** Masters that are wrong in one way each, and near which seed that is found. */
const flaws: readonly (readonly [RedlockFlaw, number])[] = [
  ["writes no token back", 1],
  ["carries nothing on", 1],
  ["proposes nothing anew", 1],
  ["asks for no owner", 1],
  ["lets a later token pass", 1],
  // The weakness that the page names.
  ["forgets its last second", 1],
];
const searched = 120;

describe("Redlock in bad weather", () => {
  test(
    "keeps what an outside ledger says, whatever is lost, late, doubled, paused and killed",
    { timeout },
    async () => {
      const counts: Record<string, number> = {};
      for (const seed of only === undefined ? seeds : [Number(only)]) {
        const outcome = await simulateRedlock(seed);
        expect(outcome.faults, `TRELLIS_SEED=${seed} fails again`).toEqual([]);
        for (const [what, times] of Object.entries(outcome.counts)) {
          counts[what] = (counts[what] ?? 0) + times;
        }
      }
      expect(only === undefined ? sights.filter((sight) => !counts[sight]) : []).toEqual([]);
    },
  );

  test.each(failedOnce)("seed %i, where %s", { timeout }, async (seed) => {
    expect((await simulateRedlock(seed)).faults).toEqual([]);
  });

  test("is the same under the same seed", { timeout }, async () => {
    expect(await simulateRedlock(7)).toEqual(await simulateRedlock(7));
  });

  test.each(flaws)("a master that %s is found out", { timeout }, async (flaw, first) => {
    let found: readonly string[] = [];
    for (let seed = first; seed < first + searched && found.length === 0; seed++) {
      ({ faults: found } = await simulateRedlock(seed, flaw));
    }
    expect(found).not.toEqual([]);
  });
});
