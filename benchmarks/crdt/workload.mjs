/** The work that every contestant is given, the same to the last key: seeded, and made before the clock runs. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Operations in one turn of the event loop, or in one transaction of a rival that is batched. */
export const turnOperations = 1_000;

/** Writers of the shared states. */
export const stateWriters = 8;

/** `k0`, `k1`, … as distinct strings. */
export const keyNames = (count, prefix = "k") =>
  Array.from({ length: count }, (_, i) => prefix + i);

/** `length` numbers below `bound` out of a seed (xorshift32). */
export function randomSequence(length, bound, seed = 1) {
  const sequence = new Uint32Array(length);
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    sequence[i] = (state >>> 0) % bound;
  }
  return sequence;
}

/** The keys that one writer of a shared state increments, in order: every key once, then random ones. */
export function writerSequence({ keyCount, randomEach }, writer) {
  const sequence = new Uint32Array(keyCount + randomEach);
  for (let i = 0; i < keyCount; i++) sequence[i] = i;
  sequence.set(randomSequence(randomEach, keyCount, writer + 1), keyCount);
  return sequence;
}

/** The keys that one writer of a stream of updates increments, in order, `batch` to an update. */
export const updateSequence = ({ updates, writers, batch, keyCount }, writer) =>
  randomSequence(Math.ceil(updates / writers) * batch, keyCount, writer + 101);

/** The totals per key and writer that a shared state must come to: `[key * writers + writer]`. */
export function stateTotals(shape) {
  const totals = new Uint32Array(shape.keyCount * shape.writers);
  for (let writer = 0; writer < shape.writers; writer++) {
    for (const key of writerSequence(shape, writer)) totals[key * shape.writers + writer]++;
  }
  return totals;
}

/** All increments in a shared state. */
export const stateSum = ({ keyCount, writers, randomEach }) => writers * (keyCount + randomEach);

/** The shared state of the issue: 100,000 counters, 8 writers of 150,000 increments each. */
export const stateShape = ({ quick }) =>
  quick
    ? { keyCount: 10_000, writers: stateWriters, randomEach: 5_000 }
    : { keyCount: 100_000, writers: stateWriters, randomEach: 50_000 };

/** Bytes that are built once a run and read by later rows from the run's own directory. */
export async function cached(context, name, build) {
  const path = join(context.scratch, name);
  if (!existsSync(path)) writeFileSync(path, await build());
  return readFileSync(path);
}

/** A contestant's encoded shared state. */
export const sharedState = (context, name, adapter, shape = stateShape(context)) =>
  cached(context, `${name}-${shape.keyCount}x${shape.writers}.state`, () =>
    adapter.buildState(shape),
  );
