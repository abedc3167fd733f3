/**
 * Frames so small that nearly every catch-up is a series, cut at every frame, resumed or not, with
 * other peers' frames in between, removals forgotten and names and numbers reused meanwhile.
 */
import { expect, test, vi } from "vitest";
import { typeCases } from "../crdt/type-cases.ts";
import { Cluster, mixedWeights, underSeeds } from "./cluster.ts";

vi.mock(import("../../src/store/frame.ts"), async (original) => ({
  ...(await original()),
  touchesSoft: 3,
  frameBytesSoft: 120,
}));

test("histories over links that are always catching up show what the types mean", () => {
  underSeeds({ runs: 300 }, (seed) => {
    const cluster = new Cluster({
      seed,
      replicas: 3,
      keys: ["a", "b", "c", "d", "e", "f"],
      cases: typeCases.filter(({ collection }) => ["counters", "sets", "registers"].includes(collection)),
      weights: { ...mixedWeights, cut: 6, connect: 12, forget: 8 },
    });
    for (let i = 0; i < 150; i++) cluster.step();
    cluster.heal();
    cluster.assertForgotten();
    expect(cluster.trace.length).toBeGreaterThan(0);
  });
});
