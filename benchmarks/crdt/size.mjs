/**
 * How many bytes travel? The complete state of 100,000 counters with 8 writers, each of which
 * incremented every key once and 50,000 random ones; what a peer lacks after 1 % of them changed;
 * and the smallest frames. Sizes do not vary: each is taken once. The floor is JSON.
 */
import { gzipSync } from "node:zlib";
import { adapter, rivalNames } from "./contestants.mjs";
import { takeOnce } from "./measure.mjs";
import { keyNames, randomSequence, sharedState, stateShape } from "./workload.mjs";

export const title = "Bytes";

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "state-bytes",
    label: "complete state, 8 writers, a counter",
    unit: "B",
    target: { ours: { atMost: 30 } },
    size: (name, context) => stateBytes(name, context, (bytes) => bytes),
  },
  {
    id: "state-gzip",
    label: "the same, compressed (gzip)",
    unit: "B",
    target: { ours: { atMost: 20 } },
    size: (name, context) => stateBytes(name, context, (bytes) => gzipSync(bytes)),
  },
  {
    id: "catch-up-bytes",
    label: "catch-up, 1 % of the counters changed",
    unit: "B",
    target: { ours: { atMost: 15_000 } },
    size: catchUpBytes,
  },
  {
    id: "frame-thousand-actors",
    label: "frame, 1 counter changed, 1,000 actors known",
    unit: "B",
    target: { ours: { below: 100 } },
    rivals: [],
    size: async (name) =>
      name === "floor"
        ? JSON.stringify([["k0", 0, 2]]).length
        : (await adapter(name)).frameBytes({ actors: 1_000 }),
  },
  {
    id: "flush-entries",
    label: "entries after 1,000,000 increments of 1 key",
    unit: "",
    target: { ours: { atMost: 1 } },
    rivals: [],
    size: async (name) =>
      name === "floor" ? 1 : (await adapter(name)).flushEntries({ increments: 1_000_000 }),
  },
];

/** Measures one row. */
export const measure = (row, context) =>
  takeOnce((name) => row.size(name, context), row.rivals ?? rivalNames);

async function stateBytes(name, context, transform) {
  const bytes = await sharedState(context, name, await adapter(name));
  return transform(bytes).length / stateShape(context).keyCount;
}

async function catchUpBytes(name, context) {
  const { keyCount } = stateShape(context);
  const keys = keyNames(keyCount);
  const stride = 100;
  const offset = randomSequence(1, stride, 7)[0];
  const indexes = Array.from({ length: keyCount / stride }, (_, i) => i * stride + offset);
  if (name === "floor") return JSON.stringify(indexes.map((index) => [keys[index], 0, 3])).length;
  const library = await adapter(name);
  return library.catchUpBytes(await sharedState(context, name, library), indexes, keys);
}
