/** What a fault run tells, by strategies of which it is known what a fault does to them. Runs what is built. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NodePool as Pool } from "../../src/cli/bench/cluster.ts";
import type { faultsOf as Faults } from "../../src/cli/bench/faults.ts";
import type { FaultResult } from "../../src/cli/bench/results.ts";
import { assertBuilt } from "../cli/command.ts";

let pool: Pool;
let faultsOf: typeof Faults;

beforeAll(async () => {
  assertBuilt();
  const built = (name: string): string =>
    new URL(`../../dist/cli/bench/${name}`, import.meta.url).href;
  const { NodePool } = (await import(built("cluster.js"))) as { readonly NodePool: typeof Pool };
  ({ faultsOf } = (await import(built("faults.js"))) as { readonly faultsOf: typeof Faults });
  pool = new NodePool({ timeoutMs: 20_000, signal: new AbortController().signal });
});
afterAll(async () => await pool[Symbol.asyncDispose]());

async function faults(
  strategy: string,
  workload: "likes" | "stock",
  isDurable: boolean,
): Promise<ReadonlyMap<string, FaultResult>> {
  const cell = {
    ...{ strategy, workload, zipf: 0.9, keys: 20, callers: 6, nodes: 3, roundTripMs: 1 },
    isDurable,
  };
  const of = await faultsOf({ cell, perSecond: 600, pool, servers: [], own: [], seed: 1 });
  return new Map(of.map((each) => [each.fault, each]));
}

test("local writes go on while a node is cut off, and nothing of what was acknowledged is lost", async () => {
  const results = await faults("trellis-local", "likes", false);
  const cut = results.get("cut-node");
  expect(cut?.perSecondOfTheCut).toBeGreaterThan(0);
  expect(cut?.perSecondOfOthers).toBeGreaterThan(0);
  for (const { error, violations } of results.values()) {
    expect(error).toBeUndefined();
    // Of a node that is killed, what nobody else has is gone with its memory; nothing is made up.
    expect(violations.conjured).toBe(0);
  }
}, 60_000);

test("what depends on one node stops with it, and oversells nothing", async () => {
  const results = await faults("trellis-combined", "stock", true);
  expect(results.get("cut-node")?.perSecondOfTheCut).toBeLessThan(10);
  expect(results.get("cut-node")?.perSecondOfOthers).toBeGreaterThan(0);
  expect(results.get("kill-server")?.longestSilenceMs).toBeGreaterThan(1_000);
  for (const { violations } of results.values()) expect(violations.total).toBe(0);
}, 60_000);

test("who looks and then writes sells twice what both sides of a cut have", async () => {
  const results = await faults("strawman-pn-counter", "stock", false);
  expect(results.get("cut-node")?.violations.oversold).toBeGreaterThan(0);
}, 60_000);
