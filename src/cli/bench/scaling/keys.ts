/** Does an increment cost more where there are more counters? The same random ones, on a replica and in a plain map. */
import { setImmediate as endOfTurn } from "node:timers/promises";
import { counter, openReplica } from "../../../index.ts";
import { seededRandom } from "../../replay/random.ts";
import type { ScalingResult } from "../results.ts";
import { slopeOf } from "./slope.ts";

const counts = [1_000, 10_000, 100_000, 1_000_000];
const operations = 200_000;
const inTurn = 1_000;
const rounds = 3;

/** Both curves. */
export async function keysScaling(seed: number): Promise<readonly ScalingResult[]> {
  const ours: ScalingResult["points"][number][] = [];
  const floor: ScalingResult["points"][number][] = [];
  for (const count of counts) {
    const keys = Array.from({ length: count }, (_, i) => `post:${i}`);
    const random = seededRandom(seed);
    const draws = Uint32Array.from({ length: operations }, () => Math.floor(random() * count));
    ours.push({ x: count, y: await onReplica(keys, draws), how: "one process" });
    floor.push({ x: count, y: onMap(keys, draws), how: "one process" });
  }
  const about = {
    name: "keys",
    xLabel: "keys",
    yLabel: "ns an increment",
    method: `${operations} increments of random counters that are all there, in turns of ${inTurn}, on a replica that listens; the median of ${rounds} rounds`,
  };
  return [
    { ...about, strategy: "Trellis", points: ours, slope: slopeOf(ours) },
    { ...about, strategy: "a Map of numbers", points: floor, slope: slopeOf(floor) },
  ];
}

async function onReplica(keys: readonly string[], draws: Uint32Array): Promise<number> {
  await using replica = await openReplica({ schema: { likes: counter() }, listen: { port: 0 } });
  const { likes } = replica.collections;
  for (const [i, key] of keys.entries()) {
    likes.increment(key);
    if (i % inTurn === 0) await endOfTurn();
  }
  const took: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startMs = performance.now();
    for (let start = 0; start < draws.length; start += inTurn) {
      for (let i = start; i < start + inTurn; i++) likes.increment(keys[draws[i] ?? 0] ?? "");
      await endOfTurn();
    }
    took.push(((performance.now() - startMs) * 1e6) / draws.length);
  }
  return median(took);
}

function onMap(keys: readonly string[], draws: Uint32Array): number {
  const map = new Map(keys.map((key) => [key, 1]));
  const took = Array.from({ length: rounds }, () => {
    const startMs = performance.now();
    for (const draw of draws) {
      const key = keys[draw] ?? "";
      map.set(key, (map.get(key) ?? 0) + 1);
    }
    return ((performance.now() - startMs) * 1e6) / draws.length;
  });
  return median(took);
}

const median = (all: readonly number[]): number =>
  all.toSorted((left, right) => left - right)[all.length >> 1] ?? 0;
