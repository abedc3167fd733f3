/**
 * Yjs as its users write it. It has no counter: one is emulated by an entry for each key and
 * writer, `key|client -> total`, in one flat `Y.Map`, and summed on reading. A set is a `Y.Map` of
 * its elements, a register an entry of a `Y.Map`.
 */
import * as Y from "yjs";
import { keyNames, updateSequence, writerSequence } from "../workload.mjs";

/** Operations, each a transaction of its own, or all those of one `run` in one. */
export function openLocal(workload, { batched }) {
  const document = new Y.Doc();
  const operations = operationsOf(document, workload);
  return {
    run(start, end) {
      if (batched) document.transact(() => operations.run(start, end));
      else operations.run(start, end);
    },
    check: operations.check,
    encodedSize: () => Y.encodeStateAsUpdate(document).length,
    close: () => document.destroy(),
  };
}

function operationsOf(document, { kind, keys, sequence, values, elements }) {
  if (kind === "register") {
    const map = document.getMap("registers");
    return {
      run(start, end) {
        for (let i = start; i < end; i++) map.set(keys[sequence[i]], values[i % values.length]);
      },
      check: () => map.size,
    };
  }
  if (kind === "set") {
    const half = elements.length;
    return {
      run(start, end) {
        for (let i = start; i < end; i++) {
          if (i < half) document.getMap(keys[i % keys.length]).set(elements[i], true);
          else document.getMap(keys[(i - half) % keys.length]).delete(elements[i - half]);
        }
      },
      check: () => keys.reduce((total, key) => total + document.getMap(key).size, 0),
    };
  }
  const map = document.getMap("counters");
  return {
    run(start, end) {
      for (let i = start; i < end; i++) increment(map, document.clientID, keys[sequence[i]]);
    },
    check: () => sum(map),
  };
}

function increment(map, client, key) {
  const entry = `${key}|${client}`;
  map.set(entry, (map.get(entry) ?? 0) + 1);
}

function sum(map) {
  let total = 0;
  for (const value of map.values()) total += value;
  return total;
}

/** What the `update` event gives; update `i` is by writer `i % writers`. */
export function makeUpdates(stream) {
  const keys = keyNames(stream.keyCount);
  const made = new Array(stream.updates);
  for (let writer = 0; writer < stream.writers; writer++) {
    const document = new Y.Doc();
    document.clientID = writer + 1;
    const map = document.getMap("counters");
    const sequence = updateSequence(stream, writer);
    let at = 0;
    let place = writer;
    document.on("update", (update) => (made[place] = update));
    for (; place < stream.updates; place += stream.writers) {
      document.transact(() => {
        for (const end = at + stream.batch; at < end; at++) {
          increment(map, document.clientID, keys[sequence[at]]);
        }
      });
    }
  }
  return made;
}

/** Takes those updates. */
export function openReceiver() {
  const document = new Y.Doc();
  return {
    apply: (update) => Y.applyUpdate(document, update),
    check: () => sum(document.getMap("counters")),
  };
}

/** A shared state: each writer's own document, merged into one. */
export function buildState(shape) {
  const keys = keyNames(shape.keyCount);
  const merged = new Y.Doc();
  for (let writer = 0; writer < shape.writers; writer++) {
    const document = new Y.Doc();
    document.clientID = writer + 1;
    const map = document.getMap("counters");
    const sequence = writerSequence(shape, writer);
    for (let start = 0; start < sequence.length; start += 1_000) {
      document.transact(() => {
        for (const key of sequence.subarray(start, start + 1_000)) {
          increment(map, document.clientID, keys[key]);
        }
      });
    }
    Y.applyUpdate(merged, Y.encodeStateAsUpdate(document));
  }
  return Y.encodeStateAsUpdate(merged);
}

/** What `loadState` is given. */
export const prepareState = (bytes) => bytes;

/** A document out of a shared state. */
export function loadState(bytes) {
  const document = new Y.Doc();
  Y.applyUpdate(document, bytes);
  const map = document.getMap("counters");
  return {
    document,
    value(key) {
      let total = 0;
      for (let client = 1; client <= 8; client++) total += map.get(`${key}|${client}`) ?? 0;
      return total;
    },
  };
}

/** The bytes that a peer at the shared state lacks after another writer incremented `indexes`. */
export function catchUpBytes(bytes, indexes, keys) {
  const { document } = loadState(bytes);
  const before = Y.encodeStateVector(document);
  const map = document.getMap("counters");
  document.transact(() => {
    for (const index of indexes) increment(map, document.clientID, keys[index]);
  });
  return Y.encodeStateAsUpdate(document, before).length;
}
