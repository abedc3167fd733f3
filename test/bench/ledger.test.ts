import { describe, expect, test } from "vitest";
import {
  affordableRefusals,
  agrees,
  noViolations,
  stalenessOf,
  violationsOf,
} from "../../src/cli/bench/ledger.ts";
import { Tally, type TallyFigures } from "../../src/cli/bench/tally.ts";

const withUnits = { hasUnits: true };
const withoutUnits = { hasUnits: false };

/** What one node's callers saw. */
function seen(keys: number, what: (tally: Tally) => void): TallyFigures {
  const tally = new Tally({ keys, slices: 1, readsPerSample: 1 });
  what(tally);
  return tally.figures();
}

const sells = (units: number): TallyFigures => seen(1, (tally) => void (tally.changes[0] = -units));

describe("units", () => {
  test("what was sold on two nodes beyond what there was is oversold", () => {
    const book = { keys: 1, filled: 10, tallies: [sells(7), sells(6)] };
    expect(violationsOf(book, [[-3]], withUnits)).toEqual({
      ...noViolations,
      total: 3,
      oversold: 3,
    });
  });

  test("what was sold in full, and is shown as gone everywhere, breaks no rule", () => {
    const book = { keys: 1, filled: 10, tallies: [sells(4), sells(6)] };
    expect(violationsOf(book, [[0], [0]], withUnits)).toEqual(noViolations);
  });

  test("units that vanish, and units that come back after they were sold, are told apart", () => {
    const book = { keys: 1, filled: 10, tallies: [sells(4)] };
    expect(violationsOf(book, [[5]], withUnits)).toMatchObject({ total: 1, lost: 1 });
    expect(violationsOf(book, [[8]], withUnits)).toMatchObject({ total: 2, conjured: 2 });
  });

  test("what nobody knows of may have happened or not, and no more than that", () => {
    const maybe = seen(1, (tally) => tally.fail(new Error("no answer"), [0, 2]));
    const book = { keys: 1, filled: 10, tallies: [sells(4), maybe] };
    expect(agrees(book, [4])).toBe(true);
    expect(agrees(book, [6])).toBe(true);
    expect(agrees(book, [3])).toBe(false);
    expect(violationsOf(book, [[3]], withUnits)).toMatchObject({ total: 1, lost: 1 });
  });

  test("operations that were never answered are doubts about every key", () => {
    const book = { keys: 2, filled: 10, tallies: [seen(2, (tally) => tally.doubt(1))] };
    expect(violationsOf(book, [[5, 10]], withUnits)).toEqual(noViolations);
    expect(violationsOf(book, [[4, 10]], withUnits)).toMatchObject({ lost: 1 });
  });

  test("nodes that still disagree at the end are divergent", () => {
    const book = { keys: 1, filled: 10, tallies: [sells(4)] };
    expect(violationsOf(book, [[6], [7]], withUnits)).toMatchObject({ total: 1, divergent: 1 });
  });

  test("likes may fall nowhere, since nothing is limited: what is lost is lost", () => {
    const likes = seen(1, (tally) => void (tally.changes[0] = 5));
    const book = { keys: 1, filled: 0, tallies: [likes, likes] };
    expect(violationsOf(book, [[9]], withoutUnits)).toMatchObject({ total: 1, lost: 1 });
  });
});

describe("what has one owner", () => {
  const wins = (caller: number, ...things: number[]): TallyFigures =>
    seen(1, (tally) => things.forEach((thing) => tally.win(caller, thing)));

  test("a name that two callers were told is theirs is doubled", () => {
    const book = { keys: 1, filled: 0, tallies: [wins(0, 1, 2), wins(5, 2, 3)] };
    expect(violationsOf(book, [], withoutUnits)).toMatchObject({ total: 1, doubled: 1 });
  });

  test("codes of different pairs of callers are different codes", () => {
    const pairwise = { hasUnits: false, isPairwise: true } as const;
    const apart = { keys: 1, filled: 0, tallies: [wins(0, 7), wins(2, 7)] };
    expect(violationsOf(apart, [], pairwise)).toEqual(noViolations);
    const together = { keys: 1, filled: 0, tallies: [wins(0, 7), wins(1, 7)] };
    expect(violationsOf(together, [], pairwise)).toMatchObject({ total: 1, doubled: 1 });
  });
});

describe("refusals", () => {
  const takes = seen(1, (tally) => {
    tally.take(0, 4, 100);
    tally.take(0, 5, 200);
  });
  const refusal = (units: number, endMs: number): TallyFigures => ({
    ...seen(1, () => undefined),
    refusals: [[0, units, endMs]],
  });
  const affordable = (units: number, endMs: number): number =>
    affordableRefusals({ keys: 1, filled: 10, tallies: [takes, refusal(units, endMs)] });

  test("while enough was left for certain they were affordable", () => {
    expect(affordable(6, 150)).toBe(1);
    expect(affordable(1, 250)).toBe(1);
  });

  test("they were not when takes that had begun may have left too little", () => {
    expect(affordable(7, 150)).toBe(0);
    expect(affordable(2, 250)).toBe(0);
  });
});

describe("reads", () => {
  const reads = (value: string | undefined, startMs: number): TallyFigures =>
    seen(1, (tally) => {
      tally.write(0, "a", 0, 10);
      tally.write(0, "b", 20, 30);
      tally.write(0, "c", 25, 60);
      tally.see(0, value, startMs);
    });
  const age = (value: string | undefined, startMs: number): number | undefined =>
    stalenessOf([reads(value, startMs)])?.maxMs;

  test("what was overwritten is as old as the first acknowledgement of what came after it", () => {
    expect(age("a", 50)).toBe(20);
    expect(age(undefined, 50)).toBe(40);
  });

  test("what was overwritten by nothing that was acknowledged before the read is not old", () => {
    expect(age("a", 29)).toBe(0);
    expect(age("c", 100)).toBe(0);
  });

  test("of two writes at the same time either is the newest", () => {
    expect(age("b", 100)).toBe(0);
  });

  test("a value that nobody wrote was conjured", () => {
    const book = { keys: 1, filled: 0, tallies: [reads("z", 100)] };
    expect(violationsOf(book, [], withoutUnits)).toMatchObject({ total: 1, conjured: 1 });
  });

  test("without reads there is no figure", () => {
    expect(stalenessOf([sells(1)])).toBeUndefined();
  });
});
