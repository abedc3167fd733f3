/**
 * How long until a replica that starts from its own complete state is usable? 100,000 counters
 * with 8 writers, from bytes in memory to the first value read, everything decoded. The floor is
 * `JSON.parse` of the same, and no more. Loro decodes a counter when it is first read: see the
 * second row, which reads them all. What ours and the floor loaded is kept until the row ends: with the
 * first replica of a process V8 would throw away the code that it optimised for it.
 */
import { adapter, rivalNames } from "./contestants.mjs";
import { interleave, spend, summarise, verify } from "./measure.mjs";
import { cached, keyNames, sharedState, stateShape, stateSum } from "./workload.mjs";

export const title = "Loading a complete state, CPU time";

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "load",
    label: "100,000 counters of 8 writers",
    unit: "ms",
    target: { ratio: { atMost: 2 } },
    why: "the floor makes arrays; ours are checked, indexed by key and logged: see the row below",
    part: "first",
  },
  { id: "load-read-all", label: "the same, and every value read", unit: "ms", part: "all" },
];

/** Measures one row; both rows come of the same loads. */
export async function measure({ part }, context) {
  const build = async () => JSON.stringify(await measureLoads(context));
  return JSON.parse(await cached(context, "load.json", build))[part];
}

async function measureLoads(context) {
  const shape = stateShape(context);
  const keys = keyNames(shape.keyCount);
  const allCosts = new Map();
  const kept = [];
  const contestant = (name, rounds) => {
    let source;
    return {
      name,
      rounds,
      async round(warming) {
        const library = await adapter(name);
        source ??= library.prepareState(await sharedState(context, name, library, shape));
        const { first, all, loaded } = await load(name, { library, source, keys, shape });
        if (rivalNames.includes(name)) await loaded.close?.();
        else kept.push(loaded);
        allCosts.set(name, warming ? [] : [...allCosts.get(name), all]);
        return first;
      },
    };
  };
  const contestants = [contestant("floor"), contestant("ours")];
  for (const name of rivalNames) contestants.push(contestant(name, context.quick ? 1 : 3));
  const { costs, absent } = await interleave(contestants, context.quick ? 3 : 5);
  return {
    first: summarise({ costs, absent }),
    all: summarise({ costs: allCosts, absent }),
  };
}

/** One load: until the first value, and until all are read, in ms of CPU time. */
async function load(name, { library, source, keys, shape }) {
  let loaded;
  const { cpuUs } = await spend(async () => {
    loaded = await library.loadState(source);
    // The floor of the first row is JSON.parse and no more.
    if (name !== "floor") loaded.value(keys[0]);
    return 1;
  });
  let total;
  const reading = await spend(() => (total = sum(loaded, keys)), { collect: "nothing" });
  verify(name, total, stateSum(shape));
  return { first: cpuUs / 1_000, all: (cpuUs + reading.cpuUs) / 1_000, loaded };
}

function sum(loaded, keys) {
  let total = 0;
  for (const key of keys) total += loaded.value(key);
  return total;
}
