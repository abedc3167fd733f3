/**
 * How many bytes does a counter hold, and what is left of things that were removed or overwritten?
 * Each case has a process of its own, in which the heap and what hangs outside it (array buffers,
 * WASM memory) are read after a collection, before and after. Key strings do not count: they are
 * made before, or, where they were decoded from bytes, taken off at what they cost.
 */
import { adapter, rivalNames } from "./contestants.mjs";
import { inFreshProcess } from "./fresh-process.mjs";
import { collectGarbage, takeOnce, turn } from "./measure.mjs";
import {
  cached,
  keyNames,
  sharedState,
  stateShape,
  stateSum,
  turnOperations,
} from "./workload.mjs";

export const title = "Memory";

// Below this much a difference is the collector's and the compiler's, or a longer sequence number.
const memoryGrain = { ours: { atMost: 262_144 } };
const encodedGrain = { ours: { atMost: 16 } };
const setChurn = { kind: "set", keyCount: 1, elements: 10_000, rounds: 100, operations: 20_000 };
const registerChurn = { kind: "register", keyCount: 1, rounds: 1_000, operations: 1_000 };

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "memory-one-writer",
    label: "1,000,000 counters, 1 writer, a counter",
    unit: "B",
    target: { ours: { atMost: 120 } },
    rivals: [],
    hold: { keyCount: 1_000_000, writers: 1, randomEach: 0 },
  },
  {
    id: "memory-eight-writers",
    label: "1,000,000 counters, 8 writers, a counter",
    unit: "B",
    target: { ours: { atMost: 300 } },
    rivals: [],
    hold: { keyCount: 1_000_000, writers: 8, randomEach: 0 },
  },
  { id: "memory-shared-state", label: "100,000 counters, 8 writers, loaded, a counter", unit: "B" },
  {
    id: "churn-set-memory",
    label: "10,000 elements added and removed: memory grown from round 1 to 100",
    unit: "B",
    target: memoryGrain,
    churn: setChurn,
    part: "memory",
  },
  {
    id: "churn-set-bytes",
    label: "the same, growth of the encoded state",
    unit: "B",
    target: encodedGrain,
    churn: setChurn,
    part: "encoded",
  },
  {
    id: "churn-register-memory",
    label: "1 register set: memory grown from time 1,000 to 1,000,000",
    unit: "B",
    target: memoryGrain,
    churn: registerChurn,
    part: "memory",
  },
  {
    id: "churn-register-bytes",
    label: "the same, growth of the encoded state",
    unit: "B",
    target: encodedGrain,
    churn: registerChurn,
    part: "encoded",
  },
];

/** Measures one row. */
export async function measure(row, context) {
  const figures = await takeOnce((name) => amount(name, row, context), row.rivals ?? rivalNames);
  return row.churn ? withoutRatios(figures) : figures;
}

/** What the floor grew by is about nothing: a ratio to it says nothing. */
function withoutRatios({ rivals, ...figures }) {
  const values = Object.entries(rivals).map(([name, rival]) => [
    name,
    rival && { ...rival, ratio: null },
  ]);
  return { ...figures, ratio: null, rivals: Object.fromEntries(values) };
}

async function amount(name, row, context) {
  if (row.churn) return churnGrowth(name, row, context);
  const shape = row.hold ? shorten(row.hold, context) : stateShape(context);
  const loads = name !== "floor" && shape.writers > 1;
  if (loads) await inCase("writeState", { name, shape, context });
  return inCase(loads ? "loadedBytes" : "heldBytes", { name, shape, context });
}

const shorten = (shape, { quick }) => (quick ? { ...shape, keyCount: shape.keyCount / 10 } : shape);

/** Rows about memory and about encoded size share one run of the churn. */
async function churnGrowth(name, { churn, part }, context) {
  // What grows in a rival grows in a fifth of the rounds too.
  const share = (context.quick ? 10 : 1) * (rivalNames.includes(name) ? 5 : 1);
  const plan = { ...churn, rounds: churn.rounds / share };
  const file = `churn-${name}-${churn.kind}.json`;
  const build = async () => JSON.stringify(await inCase("churned", { name, churn: plan, context }));
  const { first, last } = JSON.parse(await cached(context, file, build));
  return last[part] - first[part];
}

const inCase = (call, input) =>
  inFreshProcess({ module: import.meta.url, call, input, deadlineMs: 600_000 });

/** Case: builds the state that `loadedBytes` loads. */
export async function writeState({ name, shape, context }) {
  await sharedState(context, name, await adapter(name), shape);
}

/** Case: counters filled in by this process. @returns bytes a counter */
export async function heldBytes({ name, shape }) {
  const library = await adapter(name);
  const keys = keyNames(shape.keyCount);
  const before = await occupied();
  const subject = await library.holdCounters({ keys, writers: shape.writers });
  const after = await occupied();
  await subject.close?.();
  return (after - before) / keys.length;
}

/** Case: counters loaded from their encoded state, every one read. @returns bytes a counter */
export async function loadedBytes({ name, shape, context }) {
  const library = await adapter(name);
  const before = await occupied();
  const subject = await loadShared(library, name, shape, context);
  const sum = readAll(subject, shape.keyCount);
  if (sum !== stateSum(shape)) throw new Error(`${name} holds ${sum}, not ${stateSum(shape)}`);
  const after = await occupied();
  const strings = await stringBytes(shape.keyCount);
  await subject.close?.();
  return (after - before - strings) / shape.keyCount;
}

// A function of its own, so that the encoded bytes are garbage when it returns.
const loadShared = async (library, name, shape, context) =>
  library.loadState(library.prepareState(await sharedState(context, name, library, shape)));

function readAll(subject, keyCount) {
  let sum = 0;
  for (const key of keyNames(keyCount)) sum += subject.value(key);
  return sum;
}

/** What the key strings alone take. */
async function stringBytes(keyCount) {
  const holder = new Array(keyCount).fill("");
  const before = await occupied();
  for (let i = 0; i < keyCount; i++) holder[i] = `k${i}`;
  const after = await occupied();
  return holder.length === keyCount ? after - before : 0;
}

/**
 * Case: the same operations again and again. Ours and the floor do all of it once for the encoded size,
 * and then once more for memory, when what the process itself has to compile is behind it. Rivals do
 * it once, for WASM memory that was taken is never given back.
 */
export async function churned({ name, churn }) {
  const library = await adapter(name);
  const { kind, keyCount, elements } = churn;
  const workload = {
    kind,
    keys: keyNames(keyCount),
    sequence: new Uint32Array(churn.operations),
    values: keyNames(1_000, "value-"),
    elements: keyNames(elements ?? 0, "element-"),
  };
  const run = async (measured) => {
    const subject = await library.openLocal(workload, { batched: true });
    await churnRounds(subject, churn.operations, 1);
    await subject.settle?.();
    const first = await measured(subject);
    await churnRounds(subject, churn.operations, churn.rounds - 1);
    await subject.settle?.();
    const last = await measured(subject);
    await subject.close?.();
    return [first, last];
  };
  if (rivalNames.includes(name)) {
    const [first, last] = await run(async (subject) => ({
      memory: await occupied(),
      encoded: await subject.encodedSize(),
    }));
    return { first, last };
  }
  const encoded = await run((subject) => subject.encodedSize());
  const memory = await run(occupied);
  const at = (place) => ({ memory: memory[place], encoded: encoded[place] });
  return { first: at(0), last: at(1) };
}

async function churnRounds(subject, operations, rounds) {
  for (let round = 0; round < rounds; round++) {
    for (let start = 0; start < operations; start += turnOperations) {
      subject.run(start, start + turnOperations);
      if (subject.turn) await subject.turn();
    }
  }
}

/** Bytes in use: the heap and what is external to it. */
async function occupied() {
  for (let i = 0; i < 3; i++) {
    await collectGarbage();
    await turn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
