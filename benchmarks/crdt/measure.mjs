/**
 * How can a figure from a shared machine be trusted? Everyone runs in the same process, in turns,
 * and what is compared are pairs of one round. Costs are CPU time (user and system, all threads,
 * so garbage collection is paid for by whoever caused it), not wall time.
 */

/** A contestant that cannot run here: not wired yet, or not installed. The row says so. */
export class AbsentError extends Error {
  name = "AbsentError";
}

/** Whether `error`, perhaps from another process, says that a contestant is absent. */
export const isAbsent = (error) => error?.name === "AbsentError";

/** The end of this turn of the event loop, after whatever was deferred before. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Collects garbage, twice, since finalizers and WASM handles free more after the first. */
export async function collectGarbage() {
  if (!globalThis.gc) throw new Error("run node with --expose-gc");
  globalThis.gc();
  await turn();
  globalThis.gc();
}

/**
 * Collects the young generation only. A full collection before every round makes V8 throw optimised
 * code away, the event loop's own too, and compiling that again takes longer than short work does.
 */
function collectYoung() {
  globalThis.gc({ type: "minor" });
}

/** CPU time of this process so far, in µs. */
function cpuUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/**
 * What `work` costs.
 * @param {() => number | Promise<number>} work returns how many operations it did
 * @param {{ collect?: "all" | "young" | "nothing" }} [options] what is collected before; "young" where
 *   the same structures are used in every round, "nothing" for short pieces that are summed up
 * @returns {Promise<{ operations: number, cpuUs: number, nsEach: number }>}
 */
export async function spend(work, { collect = "all" } = {}) {
  if (collect === "all") await collectGarbage();
  if (collect === "young") collectYoung();
  const before = cpuUs();
  const operations = await work();
  const spent = cpuUs() - before;
  return { operations, cpuUs: spent, nsEach: (spent * 1_000) / operations };
}

/** The middle of `figures`; the mean of the two middle ones when they are even in number. */
export function median(figures) {
  const sorted = [...figures].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Runs contestants in turns: one unmeasured round to warm up, then `rounds` measured ones, each
 * starting with another contestant.
 * @param {{ name: string, rounds?: number, round: (warming: boolean) => Promise<number> }[]} contestants
 *   `round` returns the cost of one operation; the slow ones may take part in fewer rounds
 * @returns {Promise<{ costs: Map<string, number[]>, absent: Map<string, string> }>}
 */
export async function interleave(contestants, rounds) {
  const costs = new Map();
  const absent = new Map();
  const play = async (contestant, warming) => {
    if (absent.has(contestant.name)) return;
    try {
      const cost = await contestant.round(warming);
      if (warming) costs.set(contestant.name, []);
      else costs.get(contestant.name).push(cost);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      absent.set(contestant.name, error.message);
    }
  };
  for (const contestant of contestants) await play(contestant, true);
  for (let round = 0; round < rounds; round++) {
    for (let place = 0; place < contestants.length; place++) {
      const contestant = contestants[(place + round) % contestants.length];
      if (round < (contestant.rounds ?? rounds)) await play(contestant, false);
    }
  }
  return { costs, absent };
}

/** The row's figures out of an interleaved run: medians, and medians of the paired ratios. */
export function summarise({ costs, absent }, base = "floor") {
  const floors = costs.get(base);
  const ratios = (name) => costs.get(name)?.map((cost, round) => cost / floors[round]);
  const rivals = {};
  for (const name of [...costs.keys(), ...absent.keys()]) {
    if (name === base || name === "ours") continue;
    rivals[name] = costs.has(name)
      ? { value: median(costs.get(name)), ratio: median(ratios(name)) }
      : null;
  }
  const ours = ratios("ours");
  return {
    ours: ours ? median(costs.get("ours")) : null,
    floor: median(floors),
    ratio: ours ? median(ours) : null,
    spread: ours ? [Math.min(...ours), Math.max(...ours)] : null,
    rivals,
    absent: Object.fromEntries(absent),
  };
}

/**
 * The row's figures where each contestant is taken once: sizes, and memory in a fresh process.
 * @param {(name: string) => Promise<number>} amount
 */
export async function takeOnce(amount, rivalNames) {
  const floor = await amount("floor");
  const compare = (value) => ({ value, ratio: floor === 0 ? null : value / floor });
  const absent = {};
  const take = async (name) => {
    const taken = await attempt(() => amount(name));
    if (taken.absent) absent[name] = taken.absent;
    return taken.absent ? null : compare(taken.value);
  };
  const ours = await take("ours");
  const rivals = {};
  for (const name of rivalNames) rivals[name] = await take(name);
  return { ours: ours?.value ?? null, floor, ratio: ours?.ratio ?? null, rivals, absent };
}

/** What `work` returns, or why the contestant is absent. */
async function attempt(work) {
  try {
    return { value: await work() };
  } catch (error) {
    if (isAbsent(error)) return { absent: error.message };
    throw error;
  }
}

/** Fails the row when a contestant did not do the work that it was measured at. */
export function verify(name, actual, expected) {
  if (actual !== expected) throw new Error(`${name} holds ${actual}, not ${expected}`);
}
