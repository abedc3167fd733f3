import { expect, test } from "vitest";
import { type Flaw, flaws } from "./simulation/flaws.ts";
import { simulateRights } from "./simulation/run.ts";

test.each(flaws)("a replica that %s is found out", { timeout: 300_000 }, async (flaw: Flaw) => {
  let found: readonly string[] = [];
  let seed = 1;
  for (; seed <= 120 && found.length === 0; seed++) {
    ({ faults: found } = await simulateRights({ seed, flaw }));
  }
  console.log(flaw, seed, found.slice(0, 2));
  expect(found).not.toEqual([]);
});
