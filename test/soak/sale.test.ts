/** The soak of a sale, short, over every backend: `npm run soak:sale` is the long one. And its judge sees what it is there for. */
import { beforeAll, describe, expect, test } from "vitest";
import { serviceNames } from "../../src/cli/servers/shared.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { compileSoaks, runSoak } from "./compiled.ts";
import type { Booking, Books, Deed, End } from "./sale-books.ts";
import { compare, judge, type Shown } from "./sale-judge.ts";

const built = "dist-simulation/sale-test";

describe("a sale through kills and pauses", () => {
  beforeAll(() => compileSoaks(built), 120_000);

  for (const locks of ["embedded", ...serviceNames] as const) {
    test.skipIf(locks !== "embedded" && isServiceSkipped(locks))(
      `over ${locks} keeps every rule`,
      async () => {
        const args = ["--locks", locks, "--seconds", "4", "--seed", "8"];
        const { status, output } = await runSoak(built, "sale", ...args);
        expect(output).toContain("ok: nothing is sold twice and nothing is gone");
        expect(output).toMatch(/^kills +[1-9]/mu);
        expect(output).toMatch(/^sale .*\d done/mu);
        expect(output).toMatch(/^transfer .*\d done/mu);
        expect(status).toBe(0);
      },
      180_000,
    );
  }
});

/** Deeds one after the other, each over before the next. */
function booksOf(...deeds: readonly (readonly [Deed, End?])[]): Books {
  const bookings = deeds.map(([deed, end], i): Booking => {
    const begun = { deed, begunAt: 2 * i };
    return end === undefined ? begun : { ...begun, end: { ...end, at: 2 * i + 1 } };
  });
  return { bookings, faults: [] };
}

const done: End = { outcome: "done" };
const refused: End = { outcome: "refused" };
const accounts = { groups: [["a", "b"]], opening: 100 };
const restock = (units: number): Deed => ({ kind: "restock", sku: "s", units });
const sale = (units: number, key?: string): Deed =>
  key === undefined ? { kind: "sale", sku: "s", units } : { kind: "sale", sku: "s", units, key };
const transfer = { kind: "transfer", key: "t", from: "a", to: "b", amount: 5 } as const;
const claim = (owner: string): Deed => ({ kind: "claim", name: "n", owner });
const release = (owner: string): Deed => ({ kind: "release", name: "n", owner });

const faultsOf = (...books: readonly Books[]): readonly string[] => judge(books, accounts).faults;

describe("the judge", () => {
  test("sees what is oversold at any moment, also if it is stocked later", () => {
    expect(faultsOf(booksOf([restock(2), done], [sale(2), done]))).toEqual([]);
    expect(faultsOf(booksOf([restock(2), done], [sale(3), done], [restock(9), done]))).toEqual([
      "s: 1 units were oversold at 3 ms",
    ]);
    // What may have been stocked may be sold.
    expect(faultsOf(booksOf([restock(2)], [sale(2), done], [sale(2), refused]))).toEqual([]);
  });

  test("counts a key once, however often it was done", () => {
    const books = booksOf(
      [restock(3), done],
      [sale(3, "k")],
      [sale(3, "k"), done],
      [sale(3, "k"), done],
    );
    const { faults, stock, undecided, keysRepeated } = judge([books], accounts);
    expect([faults, undecided, keysRepeated]).toEqual([[], [], 1]);
    expect(stock.get("s")).toMatchObject({ stocked: 3, sold: 3, unknown: 0 });
  });

  test("asks again what nobody heard of, also if it was refused since", () => {
    const books = booksOf([sale(3, "k")], [sale(3, "k"), refused], [transfer]);
    expect(judge([books], accounts).undecided).toEqual([sale(3, "k"), transfer]);
  });

  test("sees two results of one key", () => {
    const one: End = { outcome: "done", result: "one" };
    const two: End = { outcome: "done", result: "two" };
    expect(faultsOf(booksOf([transfer, one], [transfer, one]))).toEqual([]);
    expect(faultsOf(booksOf([transfer, one], [transfer, two]))).toHaveLength(1);
  });

  test("sees a coupon with two winners, and a name with two owners at a time", () => {
    const coupon = (customer: string): Deed => ({ kind: "coupon", coupon: "c", customer });
    expect(faultsOf(booksOf([coupon("x"), done], [coupon("y"), { outcome: "lost" }]))).toEqual([]);
    expect(faultsOf(booksOf([coupon("x"), done], [coupon("y"), done]))).toHaveLength(1);
    expect(faultsOf(booksOf([claim("x"), done], [release("x")], [claim("y"), done]))).toEqual([]);
    expect(faultsOf(booksOf([claim("x"), done], [claim("y"), done], [release("x"), done]))).toEqual(
      ["n was given to y while x had it"],
    );
  });

  test("sees a sum that is not exact, and no other", () => {
    const sum = { kind: "sum", group: 0 } as const;
    expect(faultsOf(booksOf([sum, { ...done, result: 200 }]))).toEqual([]);
    expect(faultsOf(booksOf([sum, { ...done, result: 195 }]))).toHaveLength(1);
    expect(faultsOf(booksOf([sum, { ...refused, result: 195 }]))).toEqual([]);
  });
});

describe("what replicas show", () => {
  const books = booksOf(
    [restock(5), done],
    [sale(3), done],
    [sale(1)],
    [transfer, done],
    [claim("x"), done],
  );
  const shown: Shown = {
    ...{ stock: { s: 1 }, coupons: {}, owners: { n: "x" }, balances: { a: 95, b: 105 } },
  };
  const faults = (left: number, ...all: readonly Partial<Shown>[]): string[] =>
    compare(
      judge([books], accounts),
      new Map(all.map((each, i) => [`r${i}`, { ...shown, ...each }])),
      new Map([["s", left]]),
    );

  test("is as the books say, with what a kill left unknown", () => {
    expect(faults(1, {}, {})).toEqual([]);
  });

  test("has units that are gone, or from nowhere", () => {
    expect(faults(0, { stock: { s: 0 } })).toEqual([
      "s: units are gone: 3 sold, 1 perhaps, 0 stranded of 5",
    ]);
    expect(faults(3, { stock: { s: 3 } })).toEqual([
      "s: units from nowhere: 3 sold, 1 perhaps, 3 stranded of 5",
    ]);
    expect(faults(1, { stock: { s: 2 } })).toEqual(["r0 shows 2 of s, 1 are stranded"]);
  });

  test("has another owner, a wrong balance, or differs", () => {
    expect(faults(1, { owners: { n: "y" } })).toEqual(["r0: owners are not as the books say"]);
    expect(faults(1, { owners: {} })).toEqual(["r0: owners are not as the books say"]);
    expect(faults(1, { balances: { a: 100, b: 105 } })).toEqual(["r0: account a has 100, not 95"]);
    expect(faults(1, {}, { coupons: { c: "x" } })).toContain("the replicas differ");
  });
});
