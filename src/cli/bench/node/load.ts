/**
 * How does one load many strategies alike, of which some answer in 100 ns and others in 100 ms? What is answered at
 * once is not awaited; and whoever keeps the event loop for long gives way, so that what the network brought is heard.
 *
 * A closed load finds how much goes through. It cannot tell how long one waits: a caller that is kept waiting asks
 * less often, so the slowest moments count least ("coordinated omission"). So latency is measured by an open load:
 * each operation has a time at which it is due, and its latency counts from then, whatever kept it from beginning.
 * @see Tene, "How NOT to Measure Latency"; wrk2
 */
import { setImmediate as endOfTurn, setTimeout as sleep } from "node:timers/promises";
import { seededRandom, zipf } from "../../replay/random.ts";
import { monotonicMs } from "../monotonic.ts";
import type { Client } from "../strategy.ts";
import { Tally } from "../tally.ts";
import { type Step, workloadOf } from "../workload.ts";
import { arrivals } from "./arrivals.ts";
import { journaled } from "./journal.ts";
import type { Load, LoadFigures } from "./messages.ts";

/** Draws that are made before the load, and used in turn. */
const drawsCount = 1 << 14;
/** The longest turn of the event loop that callers whose operations are answered at once may make of it, in ms. */
const turnMs = 1;
/** Operations between two looks at the clock, where they are answered at once. */
const stepsPerLook = 32;
/** Of reads that come as fast as they can: judging each would cost more than reading. */
const readsPerSample = 8;
/** How long callers may take to be answered after the end, in ms. */
const endingMs = 6_000;

/** Runs a load. @throws Error when callers are not answered for long after its end. */
export async function runLoad(
  client: Client,
  load: Load,
  keys: readonly string[],
): Promise<LoadFigures> {
  if (load.journal === undefined) return await runOver(client, load, keys);
  const noting = journaled(client, load.journal);
  try {
    return await runOver(noting.client, load, keys);
  } finally {
    noting.close();
  }
}

async function runOver(client: Client, load: Load, keys: readonly string[]): Promise<LoadFigures> {
  const isOpen = load.pace.kind === "open";
  const tally = new Tally({
    keys: keys.length,
    slices: load.slices,
    readsPerSample: isOpen ? 1 : readsPerSample,
  });
  const workload = workloadOf(load.workload);
  const steps = load.callers.map((index) => {
    const random = seededRandom(load.seed * 1_000 + index);
    const draw = drawn(zipf(keys.length, load.zipf, random));
    const { callersOfAll: callers } = load;
    return workload.steps({ client, tally, keys, draw, random, index, callers });
  });
  await sleep(Math.max(0, load.startMs - monotonicMs()));
  const cpuBefore = process.cpuUsage();
  const paced = isOpen ? await open(steps, load, tally) : await closed(steps, load, tally);
  const { user, system } = process.cpuUsage(cpuBefore);
  return { tally: tally.figures(), cpuMs: (user + system) / 1_000, ...paced };
}

/** Draws made once: what is measured is not the dice. */
function drawn(draw: () => number): () => number {
  const draws = Uint32Array.from({ length: drawsCount }, draw);
  let next = 0;
  return () => draws[next++ % drawsCount] as number;
}

type Paced = Pick<LoadFigures, "latenciesMs" | "unanswered">;

async function closed(steps: readonly Step[], load: Load, tally: Tally): Promise<Paced> {
  const countedFromMs = load.startMs + load.warmMs;
  const endMs = countedFromMs + load.countedMs;
  let turnFromMs = monotonicMs();
  /** False at the end. */
  const look = (nowMs: number): boolean => {
    tally.slice = sliceAt(nowMs - countedFromMs, load);
    return nowMs < endMs;
  };
  const call = async (step: Step): Promise<void> => {
    for (let nowMs = monotonicMs(); look(nowMs); nowMs = monotonicMs()) {
      if (nowMs - turnFromMs > turnMs) {
        await endOfTurn();
        turnFromMs = monotonicMs();
      }
      for (let left = stepsPerLook; left > 0; left--) {
        const waiting = step();
        if (waiting === undefined) continue;
        await waiting;
        break;
      }
    }
  };
  const isLate = sleep(endMs + endingMs - monotonicMs(), true, { ref: false });
  if (await Promise.race([Promise.all(steps.map(call)).then(() => false), isLate])) {
    throw new Error(`callers were not answered within ${endingMs} ms after the end of the load`);
  }
  tally.slice = undefined;
  return { latenciesMs: new Float64Array(0), unanswered: 0 };
}

async function open(steps: readonly Step[], load: Load, tally: Tally): Promise<Paced> {
  const perSecond = load.pace.kind === "open" ? load.pace.perSecond : 0;
  const countedFromMs = load.startMs + load.warmMs;
  const latenciesMs: number[] = [];
  const waiting = new Map<number, number>();
  let arrived = 0;
  const begin = (dueMs: number): void | Promise<void> => {
    const isCounted = dueMs >= countedFromMs;
    const id = arrived++;
    const end = (): void => {
      waiting.delete(id);
      const nowMs = monotonicMs();
      tally.slice = sliceAt(nowMs - countedFromMs, load);
      if (isCounted) latenciesMs.push(nowMs - dueMs);
    };
    tally.slice = sliceAt(monotonicMs() - countedFromMs, load);
    const step = steps[id % steps.length] as Step;
    const result = step();
    if (result === undefined) return end();
    if (isCounted) waiting.set(id, dueMs);
    return result.then(end);
  };
  const underWay: Promise<void>[] = [];
  if (steps.length > 0 && perSecond > 0) {
    await arrivals({ perSecond, ...load }, (dueMs) => {
      const result = begin(dueMs);
      if (result !== undefined) underWay.push(result);
    });
  }
  tally.slice = undefined;
  await Promise.race([Promise.all(underWay), sleep(endingMs, undefined, { ref: false })]);
  const late = [...waiting.values()].map((dueMs) => monotonicMs() - dueMs);
  tally.doubt(late.length);
  return {
    latenciesMs: Float64Array.from([...latenciesMs, ...late]),
    unanswered: late.length,
  };
}

function sliceAt(sinceMs: number, { countedMs, slices }: Load): number | undefined {
  const slice = Math.floor((sinceMs / countedMs) * slices);
  return slice >= 0 && slice < slices ? slice : undefined;
}
