/** Fenced values under seeds: bad weather, pauses, crashes; judged by an outside ledger. */
import { describe, expect, test, vi } from "vitest";
import type { Hash } from "../../src/escalate/fenced/call-identity.ts";
import { Copies } from "../../src/escalate/fenced/copies.ts";
import { FencedWatch } from "../../src/escalate/fenced/fenced-watch.ts";
import { beginningOf, isLinearizable } from "../locks/linearizability.ts";
import { sha256 } from "./scene.ts";
import { simulateFenced } from "./simulation/run.ts";

const numberBytes = (number: number): Uint8Array => new TextEncoder().encode(`${number}`);
const sampleSize = 24;
const seeds = Array.from({ length: 8 }, (_, i) => i + 1);

test.each(seeds)(
  "seed %i: what is applied once is there once, sums stay, copies never go back",
  { timeout: 120_000 },
  async (seed) => {
    const { faults, counts, history } = await simulateFenced(seed);
    expect(faults).toEqual([]);
    expect(counts["applied"]).toBeGreaterThan(10);
    expect(counts["transfers"]).toBeGreaterThan(10);
    // A sample of the history, and the search that knows nothing of versions.
    const sample = beginningOf(history, sampleSize);
    expect(sample.length).toBeGreaterThan(sampleSize / 2);
    expect(isLinearizable(sample)).toBe(true);
  },
);

describe("the judge notices", () => {
  const sabotaged = async (kind: string, hash?: Hash): Promise<string[]> => {
    const faults: string[] = [];
    for (let seed = 1; seed <= 60 && faults.length === 0; seed++) {
      faults.push(
        ...(await simulateFenced(seed, hash)).faults.filter((fault) => fault.includes(kind)),
      );
    }
    return faults;
  };

  test("keys that are not found again", { timeout: 120_000 }, async () => {
    let calls = 0;
    const forgetful: Hash = (bytes) =>
      sha256(Uint8Array.of(...bytes, ...sha256(numberBytes(calls++))));
    expect(await sabotaged("is there twice", forgetful)).not.toEqual([]);
  });

  test("copies that are published whatever is shown already", { timeout: 120_000 }, async () => {
    using _publish = vi.spyOn(Copies.prototype, "publish").mockImplementation(function publish(
      this: Copies,
      key,
      { lineage, version, value },
    ) {
      const root = this.keyspace.nodes.root(key.startsWith("account") ? "accounts" : "notes");
      if (!root || this.keyspace.isClosed) return false;
      const payload = value === undefined ? [lineage, version] : [lineage, version, value];
      this.keyspace.assign(this.keyspace.key(root, key), payload);
      return true;
    });
    expect(await sabotaged("went back")).not.toEqual([]);
  });

  test("sections that check only what they set", { timeout: 120_000 }, async () => {
    // oxlint-disable-next-line typescript/unbound-method -- it is called with its object below
    const { commit } = FencedWatch.prototype;
    using _commit = vi
      .spyOn(FencedWatch.prototype, "commit")
      .mockImplementation(async function commits(this: FencedWatch, sections, operationId) {
        const guards = [];
        // And one after the other.
        for (const section of sections) {
          if (!section.value) continue;
          guards.push(...(await commit.call(this, [section], `${operationId}${guards.length}`)));
        }
        return guards;
      });
    expect(await sabotaged("sum up to")).not.toEqual([]);
  });
});

test("a seed gives the same run again", { timeout: 60_000 }, async () => {
  const [one, other] = [await simulateFenced(5), await simulateFenced(5)];
  expect(other.counts).toEqual(one.counts);
});
