/** Ours and the floor, in turns, each for a moment. */
import { interleave, summarise } from "../crdt/measure.mjs";

/** How long, in ms, and how often. */
const plans = {
  whole: { rounds: 31, sliceMs: 25, warmMs: 400 },
  quick: { rounds: 9, sliceMs: 20, warmMs: 100 },
};
const operationsMin = 2;

/** Runs `work` again and again for so long; what one took, in µs of wall time. */
async function timed(work, sliceMs) {
  const startMs = performance.now();
  let done = 0;
  let spentMs = 0;
  while (spentMs < sliceMs || done < operationsMin) {
    await work();
    done++;
    spentMs = performance.now() - startMs;
  }
  return (spentMs * 1_000) / done;
}

/** Medians in µs, and the median of the ratios of each round. `floor` may be missing. */
export async function pairs(ours, floor, isQuick) {
  const { rounds, sliceMs, warmMs } = isQuick ? plans.quick : plans.whole;
  const contestant = (name, work) => ({
    name,
    round: (warming) => timed(work, warming ? warmMs : sliceMs),
  });
  if (!floor) {
    const costs = await interleave([contestant("floor", ours)], rounds);
    return { ours: summarise(costs).floor };
  }
  const contestants = [contestant("floor", floor), contestant("ours", ours)];
  const {
    ours: us,
    floor: floorUs,
    ratio,
    spread,
  } = summarise(await interleave(contestants, rounds));
  return { ours: us, floor: floorUs, ratio, spread };
}
