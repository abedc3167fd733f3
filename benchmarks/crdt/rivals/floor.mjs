/**
 * The floor: what a service would write by hand in plain JavaScript, without removal, causality or
 * a clock. A limit to measure against, not a competitor. Exports the shape that `trellis.mjs`
 * describes.
 */
import { keyNames, stateTotals, updateSequence } from "../workload.mjs";

/** Local operations on a `Map<string, number>`, a `Set`, or a `Map` of them. */
export function openLocal(workload) {
  switch (workload.kind) {
    case "increment":
    case "handle":
      return openCounters(workload);
    case "register":
      return openRegisters(workload);
    default:
      return workload.keys.length === 1 ? openSet(workload) : openSets(workload);
  }
}

function openCounters({ keys, sequence }) {
  const map = new Map();
  return {
    run(start, end) {
      for (let i = start; i < end; i++) {
        const key = keys[sequence[i]];
        map.set(key, (map.get(key) ?? 0) + 1);
      }
    },
    check: () => sum(map.values()),
  };
}

function openRegisters({ keys, sequence, values }) {
  const map = new Map();
  return {
    run(start, end) {
      for (let i = start; i < end; i++) map.set(keys[sequence[i]], values[i % values.length]);
    },
    check: () => map.size,
    encodedSize: () => JSON.stringify([...map]).length,
  };
}

function openSet({ elements }) {
  const set = new Set();
  const half = elements.length;
  return {
    run(start, end) {
      for (let i = start; i < end; i++) {
        if (i < half) set.add(elements[i]);
        else set.delete(elements[i - half]);
      }
    },
    check: () => set.size,
    encodedSize: () => JSON.stringify([...set]).length,
  };
}

function openSets({ keys, elements }) {
  const sets = new Map();
  const half = elements.length;
  return {
    run(start, end) {
      for (let i = start; i < end; i++) {
        if (i < half) {
          const key = keys[i % keys.length];
          let set = sets.get(key);
          if (!set) sets.set(key, (set = new Set()));
          set.add(elements[i]);
        } else {
          sets.get(keys[(i - half) % keys.length])?.delete(elements[i - half]);
        }
      }
    },
    check: () => sum([...sets.values()].map((set) => set.size)),
  };
}

/** A set of `elements` to add to and remove from at the margin. */
export function openGrownSet({ elements, margin }) {
  const set = new Set(elements);
  return {
    fill() {},
    run() {
      for (const element of margin) set.add(element);
      for (const element of margin) set.delete(element);
      return margin.length * 2;
    },
    check: () => set.size,
  };
}

/** Updates as JSON text, `[[key, replica, total], …]`; update `i` is by writer `i % writers`. */
export function makeUpdates(stream) {
  const { writers, updates, batch, keyCount } = stream;
  const keys = keyNames(keyCount);
  const totals = Array.from({ length: writers }, () => new Uint32Array(keyCount));
  const sequences = totals.map((_, writer) => updateSequence(stream, writer));
  return Array.from({ length: updates }, (_, i) => {
    const writer = i % writers;
    const touched = new Set();
    const start = Math.floor(i / writers) * batch;
    for (let at = start; at < start + batch; at++) {
      totals[writer][sequences[writer][at]]++;
      touched.add(sequences[writer][at]);
    }
    return JSON.stringify([...touched].map((key) => [keys[key], writer, totals[writer][key]]));
  });
}

/** Takes those updates: per key an array of totals, the larger wins. */
export function openReceiver({ writers }) {
  const state = new Map();
  return {
    apply(text) {
      for (const [key, writer, total] of JSON.parse(text)) {
        let totals = state.get(key);
        if (!totals) state.set(key, (totals = new Array(writers).fill(0)));
        if (total > totals[writer]) totals[writer] = total;
      }
    },
    check: () => sum([...state.values()].map(sum)),
  };
}

/** A shared state as JSON, `[[key, [total, …]], …]`. */
export function buildState(shape) {
  const totals = stateTotals(shape);
  const entries = keyNames(shape.keyCount).map((key, i) => [
    key,
    Array.from(totals.subarray(i * shape.writers, (i + 1) * shape.writers)),
  ]);
  return Buffer.from(JSON.stringify(entries));
}

/** What `loadState` is given; `JSON.parse` takes text. */
export const prepareState = (bytes) => bytes.toString();

/** `JSON.parse` alone; the map that makes it readable is built when first read. */
export function loadState(text) {
  const entries = JSON.parse(text);
  let map;
  return {
    entries,
    value: (key) => sum((map ??= new Map(entries)).get(key) ?? []),
  };
}

/** The counters of one writer (a number a key) or of several (an array a key), held in memory. */
export function holdCounters({ keys, writers }) {
  const map = new Map();
  for (const key of keys) map.set(key, writers === 1 ? 1 : new Array(writers).fill(1));
  return { held: map };
}

/** Two equal maps and the JSON of what changed in one of them. */
export function openPair({ keyCount }) {
  const keys = keyNames(keyCount);
  const [mine, theirs] = [new Map(), new Map()];
  for (const key of keys) {
    mine.set(key, 1);
    theirs.set(key, 1);
  }
  let changed = [];
  return {
    change(indexes) {
      changed = Array.from(indexes, (index) => keys[index]);
      for (const key of changed) mine.set(key, mine.get(key) + 1);
    },
    transfer() {
      const text = JSON.stringify(changed.map((key) => [key, mine.get(key)]));
      for (const [key, total] of JSON.parse(text)) {
        if (total > theirs.get(key)) theirs.set(key, total);
      }
      return text.length;
    },
    check: () => sum(theirs.values()),
  };
}

function sum(numbers) {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
