/**
 * Loro as its users write it: a counter is a root container, `doc.getCounter(key)`; a register an
 * entry of a root map; a set a root map of its elements. Each operation is committed by itself, or
 * all those of one turn together. Handles are freed at once: leaving them to the collector makes
 * every increment two to three times as dear.
 */
import { LoroDoc } from "loro-crdt";
import { keyNames, updateSequence, writerSequence } from "../workload.mjs";

const openDocument = (peer) => {
  const document = new LoroDoc();
  if (peer !== undefined) document.setPeerId(`${peer}`);
  return document;
};

/** Operations, each committed by itself, or all those of one `run` in one commit. */
export function openLocal(workload, { batched }) {
  const document = openDocument();
  const operate = operationOf(document, workload);
  return {
    run(start, end) {
      for (let i = start; i < end; i++) {
        operate(i);
        if (!batched) document.commit();
      }
      if (batched) document.commit();
    },
    check: () => checkOf(document, workload),
    encodedSize: () => document.export({ mode: "snapshot" }).length,
    close: () => document.free(),
  };
}

function operationOf(document, { kind, keys, sequence, values, elements }) {
  if (kind === "register") {
    const map = document.getMap("registers");
    return (i) => map.set(keys[sequence[i]], values[i % values.length]);
  }
  if (kind === "set") {
    const half = elements.length;
    return (i) => {
      if (i < half) document.getMap(keys[i % keys.length]).set(elements[i], true);
      else document.getMap(keys[(i - half) % keys.length]).delete(elements[i - half]);
    };
  }
  return (i) => increment(document, keys[sequence[i]]);
}

function checkOf(document, { kind, keys }) {
  if (kind === "register") return document.getMap("registers").size;
  if (kind === "set") return keys.reduce((total, key) => total + document.getMap(key).size, 0);
  return sum(document, keys);
}

const sum = (document, keys) => keys.reduce((total, key) => total + read(document, key), 0);

function increment(document, key) {
  const counter = document.getCounter(key);
  counter.increment(1);
  counter.free();
}

function read(document, key) {
  const counter = document.getCounter(key);
  const { value } = counter;
  counter.free();
  return value;
}

/** What `subscribeLocalUpdates` would give; update `i` is by writer `i % writers`. */
export function makeUpdates(stream) {
  const keys = keyNames(stream.keyCount);
  const made = new Array(stream.updates);
  for (let writer = 0; writer < stream.writers; writer++) {
    const document = openDocument(writer + 1);
    const sequence = updateSequence(stream, writer);
    let at = 0;
    let from = document.oplogVersion();
    for (let place = writer; place < stream.updates; place += stream.writers) {
      for (const end = at + stream.batch; at < end; at++) {
        increment(document, keys[sequence[at]]);
      }
      document.commit();
      made[place] = document.export({ mode: "update", from });
      from = document.oplogVersion();
    }
    document.free();
  }
  return made;
}

/** Takes those updates. */
export function openReceiver({ keyCount }) {
  const document = openDocument();
  return {
    apply: (update) => document.import(update),
    check: () => sum(document, keyNames(keyCount)),
    close: () => document.free(),
  };
}

/** A shared state: each writer's own document, imported into one. */
export function buildState(shape) {
  const keys = keyNames(shape.keyCount);
  const merged = openDocument();
  for (let writer = 0; writer < shape.writers; writer++) {
    const document = openDocument(writer + 1);
    const sequence = writerSequence(shape, writer);
    for (let start = 0; start < sequence.length; start += 1_000) {
      for (const key of sequence.subarray(start, start + 1_000)) {
        increment(document, keys[key]);
      }
      document.commit();
    }
    merged.import(document.export({ mode: "update" }));
    document.free();
  }
  return merged.export({ mode: "snapshot" });
}

/** What `loadState` is given. */
export const prepareState = (bytes) => bytes;

/** A document out of a shared state. */
export function loadState(bytes) {
  const document = LoroDoc.fromSnapshot(bytes);
  return {
    document,
    value: (key) => read(document, key),
    close: () => document.free(),
  };
}

/** The bytes that a peer at the shared state lacks after another writer incremented `indexes`. */
export function catchUpBytes(bytes, indexes, keys) {
  const { document } = loadState(bytes);
  const from = document.oplogVersion();
  for (const index of indexes) increment(document, keys[index]);
  document.commit();
  return document.export({ mode: "update", from }).length;
}
