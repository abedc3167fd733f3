/** The storefront on a bad day, as users run it; the books are the judge. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReplayResult } from "../../src/cli/replay/coordinator.ts";
import { Ledger, readLedger } from "../../src/cli/replay/ledger.ts";
import { serviceNames } from "../../src/cli/servers/shared.ts";
import { isServiceSkipped } from "../servers/service.ts";
import { assertBuilt, run } from "./command.ts";

let folder = "";

beforeAll(async () => {
  assertBuilt();
  folder = await mkdtemp(join(tmpdir(), "trellis-demo-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const small = ["demo", "--generate", "600", "--units", "600", "--json"];

async function sale(...more: readonly string[]): Promise<ReplayResult> {
  const { status, output, errors } = await run(...small, ...more);
  const result = JSON.parse(output) as ReplayResult;
  expect({ status, errors, faults: result.shop?.faults }).toMatchObject({ status: 0, faults: [] });
  return result;
}

test("sells the stock once, through a cut and a kill, with locks of its own", async () => {
  const { shop, cut, killed, agrees } = await sale();
  expect(agrees).toBe(true);
  expect(cut?.replica).toBe("replica-3");
  expect(killed?.replica).toBe("replica-2");
  expect(shop).toMatchObject({ units: 600, customers: 24 });
  const { sold = 0, unknown = 0, shown = [], redeemed, claimed, ends } = shop ?? {};
  expect(sold).toBeLessThanOrEqual(600);
  expect(sold + unknown).toBeGreaterThanOrEqual(600);
  expect([redeemed?.length, claimed?.length]).toEqual([1, 1]);
  expect(shown.map(({ stock }) => stock)).toEqual([0, 0, 0]);
  expect(ends).toEqual(["sold-out", "sold-out", "sold-out"]);
}, 60_000);

describe.each(serviceNames)("over %s", (name) => {
  test.skipIf(isServiceSkipped(name))(
    "holds the same rules",
    async () => {
      const { shop } = await sale("--locks", name);
      expect(shop?.redeemed.length).toBe(1);
    },
    90_000,
  );
});

test("says what is shown to a person, and of Redlock what it does not promise", async () => {
  const { status, output } = await run("demo", "--generate", "90", "--units", "100");
  expect(status).toBe(0);
  expect(output).toContain("units oversold");
  expect(output.trimEnd().split("\n").at(-1)).toBe("every rule held");
  const unknown = await run("demo", "--locks", "paper");
  expect(unknown.status).toBe(2);
}, 60_000);

test("books survive their seller: what was begun and not ended is unknown", () => {
  const path = join(folder, "books");
  {
    using ledger = new Ledger(path);
    for (const step of ["begun", "sold", "begun", "refused", "begun"] as const) ledger.note(step);
  }
  {
    using ledger = new Ledger(path);
    for (const step of ["begun", "sold"] as const) ledger.note(step);
  }
  expect(readLedger(path)).toEqual({ sold: 2, unknown: 1 });
});
