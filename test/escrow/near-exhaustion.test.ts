/** Sellers that want more than there is: nothing is refused while something is left, and it costs little. */
import { describe, expect, test } from "vitest";
import { sellAll } from "./simulation/demand.ts";

const timeout = 120_000;
const even = { stock: 10_000, perSecond: 100, isZipf: false };
const zipf = { stock: 10_000, perSecond: 100, isZipf: true };

describe("all of the stock is sold, and nobody is refused before", () => {
  test.each([
    { sellers: 10, ...even, isLinked: true, updatesMax: 0.03, callsMax: 0.08 },
    { sellers: 10, ...even, isLinked: false, updatesMax: 0.03, callsMax: 0.08 },
    { sellers: 50, ...zipf, isLinked: true, updatesMax: 0.12, callsMax: 0.32 },
    { sellers: 50, ...zipf, isLinked: false, updatesMax: 0.12, callsMax: 0.32 },
  ])(
    "by $sellers sellers, Zipf: $isZipf, linked: $isLinked, with at most $updatesMax guarded updates a sale",
    { timeout },
    async ({ updatesMax, callsMax, ...demand }) => {
      for (const seed of [1, 2]) {
        const { sold, updates, calls, refusedEarly, errors } = await sellAll({ ...demand, seed });
        expect(errors).toEqual([]);
        expect(refusedEarly).toBe(0);
        expect(sold).toBe(demand.stock);
        expect(updates / sold).toBeLessThanOrEqual(updatesMax);
        expect(calls / sold).toBeLessThanOrEqual(callsMax);
      }
    },
  );
});
