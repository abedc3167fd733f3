/** The soak that kills, short: `npm run soak:kill` is the long one. And its ledger sees what it is there for. */
import { beforeAll, describe, expect, test } from "vitest";
import { compileSoaks, runSoak } from "./compiled.ts";
import { Ledger } from "./ledger.ts";

const built = "dist-simulation/kill-test";

describe("replicas that are killed", () => {
  beforeAll(() => compileSoaks(built), 120_000);

  test("lose nothing that they acknowledged, and count nothing twice", async () => {
    const { status, output } = await runSoak(built, "kill", "--seconds", "6", "--seed", "1");
    expect(output).toContain("seed 1");
    expect(output).toContain("ok: nothing acknowledged is missing");
    expect(output).not.toMatch(/^(?:kills|restarts) +0\b|: 0 acknowledged/mu);
    expect(status).toBe(0);
  }, 180_000);
});

describe("the ledger", () => {
  const sound = { faults: [] };

  test("lets an operation be there or not while it is not acknowledged", () => {
    const ledger = new Ledger();
    ledger.acknowledge(ledger.ask("a", 2));
    ledger.ask("b", 2);
    const view = { ...sound, held: [[0, 3]] as const };
    expect(ledger.checkConverged(new Map([["a", view]]))).toEqual([]);
    expect(ledger.survived(view)).toBe(1);
  });

  test("sees what is missing on a replica", () => {
    const ledger = new Ledger();
    ledger.acknowledge(ledger.ask("a", 2));
    const view = { ...sound, held: [[0, 1]] as const };
    expect(ledger.checkConverged(new Map([["b", view]]))).toEqual([
      "b lacks operation 1, acknowledged by a",
    ]);
    expect(ledger.checkReopened("a", view)).toHaveLength(1);
    // Another's word does not bind a disk.
    expect(ledger.checkReopened("b", view)).toEqual([]);
  });

  test("sees that replicas differ, and what they say of themselves", () => {
    const ledger = new Ledger();
    ledger.ask("a", 2);
    const views = new Map([
      ["a", { faults: ["operation 0 counts 2 times"], held: [[0, 1]] as const }],
      ["b", { ...sound, held: [[1, 2]] as const }],
    ]);
    expect(ledger.checkConverged(views)).toEqual([
      "a: operation 0 counts 2 times",
      "the replicas differ",
    ]);
  });
});
