/** The soak of fenced values, short: `npm run soak:fenced` is the long one. And its ledger sees what it is there for. */
import { beforeAll, describe, expect, test } from "vitest";
import { compileSoaks, runSoak } from "./compiled.ts";
import { accountsCount, FencedLedger, type Found, openingBalance } from "./fenced-ledger.ts";

const built = "dist-simulation/fenced-test";

describe("processes that are killed and stopped", () => {
  beforeAll(() => compileSoaks(built), 120_000);

  test("do each thing once, with one owner, and the sum stays", async () => {
    const args = ["--locks", "embedded", "--seconds", "6", "--seed", "1"];
    const { status, output } = await runSoak(built, "fenced", ...args);
    expect(output).toContain("ok: each was done once");
    expect(output).toMatch(/^told +[1-9]/mu);
    expect(output).toMatch(/"(?:kills|stops)":[1-9]/u);
    expect(status).toBe(0);
  }, 220_000);
});

describe("the ledger", () => {
  const balances = Array.from({ length: accountsCount }, () => openingBalance);
  const found: Found = { balances, coupons: new Map(), names: new Map() };
  const transfer = { kind: "transfer", key: "t", from: 0, to: 1, amount: 5 } as const;

  test("sees a transfer that is there twice, by half, or not at all", () => {
    const judge = (...[a, b]: readonly number[]): string[] => {
      const ledger = new FencedLedger();
      ledger.begin(transfer);
      ledger.told({ key: "t" });
      const after = [openingBalance + (a ?? 0), openingBalance + (b ?? 0), ...balances.slice(2)];
      ledger.judge({ ...found, balances: after }, "here");
      return ledger.faults;
    };
    expect(judge(-5, 5)).toEqual([]);
    expect(judge(-10, 10)).toHaveLength(2);
    expect(judge(-5, 0)).toContain(`here: the sum is ${accountsCount * openingBalance - 5}`);
    expect(judge(0, 0)).toHaveLength(2);
  });

  test("sees what was never told, two owners, and an owner that is not the one told", () => {
    const ledger = new FencedLedger();
    ledger.begin(transfer);
    ledger.begin({ kind: "redeem", key: "r", what: "c" });
    ledger.begin({ kind: "redeem", key: "s", what: "c" });
    ledger.told({ key: "r", by: "r" });
    expect(ledger.faults).toEqual([]);
    ledger.told({ key: "s", by: "s" });
    ledger.judge({ ...found, coupons: new Map([["c", "s"]]) }, "here");
    expect(ledger.faults).toEqual([
      "redeem c has s, and had r before",
      "t was never told",
      "here: redeem c is s's; r was told",
    ]);
  });
});
