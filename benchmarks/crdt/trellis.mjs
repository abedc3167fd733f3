/**
 * Everything that the benchmarks know of Trellis, in one file. Local operations, the clock and the
 * loopback rows stand on the public contract; updates, states, frames and pairs reach into the
 * store, because the contract has no bytes. `TRELLIS_DIST` names another build to measure.
 */
import { pathToFileURL } from "node:url";
import { AbsentError, turn } from "./measure.mjs";
import { turnOperations } from "./workload.mjs";

const { TRELLIS_DIST } = process.env;
const distribution = TRELLIS_DIST
  ? pathToFileURL(`${TRELLIS_DIST}/`)
  : new URL("../../dist/", import.meta.url);

/** A module of the build. @throws {AbsentError} when it is not there */
async function built(path) {
  const url = new URL(path, distribution);
  try {
    return await import(url);
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND" && error.message.includes(url.pathname)) {
      throw new AbsentError(`dist/${path} is not built`);
    }
    throw error;
  }
}

/** Takes the place of a function that is still to be written. */
function notWired(name) {
  throw new AbsentError(`${name} in trellis.mjs is not wired`);
}

/** A replica with one collection of each benchmarked type. */
async function openBenchmarkReplica(options) {
  const { openReplica, counter, lwwRegister, orSet } = await built("index.js");
  return openReplica({
    schema: { hits: counter(), registers: lwwRegister(), tags: orSet() },
    name: "benchmark",
    ...options,
  });
}

/**
 * Local operations on a replica with replication on: it listens, so every flush is logged to be
 * sent, but nobody is connected (`burst-writer-cpu` has the cost with a peer).
 * @param {object} workload `kind` is "increment", "handle", "register" or "set"; operation `i` is
 *   on `keys[sequence[i]]`; of a set the first half adds `elements` round the keys, the second
 *   half removes them
 * @returns `run(start, end)` does those operations; `turn()` ends the turn and so flushes;
 *   `check()` is the sum, number of registers or of elements left; `encodedSize()` is the bytes of
 *   the complete state
 */
export async function openLocal(workload) {
  const replica = await openBenchmarkReplica({ listen: { port: 0 } });
  return {
    ...operationsOf(replica.collections, workload),
    turn,
    encodedSize: () => encodedSize(replica),
    close: () => replica.close(),
  };
}

function operationsOf({ hits, registers, tags }, workload) {
  const { kind, keys, sequence, values, elements } = workload;
  if (kind === "register") {
    return {
      run(start, end) {
        for (let i = start; i < end; i++) {
          registers.set(keys[sequence[i]], values[i % values.length]);
        }
      },
      check: () => registers.size(),
    };
  }
  if (kind === "set") {
    const half = elements.length;
    return {
      run(start, end) {
        for (let i = start; i < end; i++) {
          if (i < half) tags.add(keys[i % keys.length], elements[i]);
          else tags.remove(keys[(i - half) % keys.length], elements[i - half]);
        }
      },
      check: () => keys.reduce((total, key) => total + tags.size(key), 0),
    };
  }
  const check = () => keys.reduce((total, key) => total + hits.value(key), 0);
  if (kind === "handle") {
    const handles = keys.map((key) => hits.at(key));
    return {
      run(start, end) {
        for (let i = start; i < end; i++) handles[sequence[i]].increment();
      },
      check,
    };
  }
  return {
    run(start, end) {
      for (let i = start; i < end; i++) hits.increment(keys[sequence[i]]);
    },
    check,
  };
}

/** A set of `elements`; `run` adds `margin` to it and removes it again, in turns of 1,000. */
export async function openGrownSet({ elements, margin }) {
  const replica = await openBenchmarkReplica({ listen: { port: 0 } });
  const { tags } = replica.collections;
  const inTurns = async (names, operate) => {
    for (let start = 0; start < names.length; start += turnOperations) {
      const end = Math.min(start + turnOperations, names.length);
      for (let i = start; i < end; i++) operate(names[i]);
      await turn();
    }
  };
  await inTurns(elements, (element) => tags.add("k0", element));
  return {
    async run() {
      await inTurns(margin, (element) => tags.add("k0", element));
      await inTurns(margin, (element) => tags.remove("k0", element));
      return margin.length * 2;
    },
    check: () => tags.size("k0"),
    close: () => replica.close(),
  };
}

/** Counters that this process alone wrote, one increment each. `writers` is 1. */
export async function holdCounters({ keys }) {
  const replica = await openBenchmarkReplica({ listen: { port: 0 } });
  const { hits } = replica.collections;
  for (let start = 0; start < keys.length; start += turnOperations) {
    const end = Math.min(start + turnOperations, keys.length);
    for (let i = start; i < end; i++) hits.increment(keys[i]);
    await turn();
  }
  return { held: replica, close: () => replica.close() };
}

/** `run(count)` draws or receives that many stamps and returns the last. */
export async function openClock(call) {
  const { HybridLogicalClock } = await built("crdt/hybrid-logical-clock.js");
  const clock = new HybridLogicalClock({ now: Date.now });
  if (call === "now") {
    return {
      run(count) {
        let last = 0;
        for (let i = 0; i < count; i++) last = clock.now();
        return last;
      },
    };
  }
  return {
    run(count) {
      let stamp = clock.now();
      for (let i = 0; i < count; i++) clock.receive(++stamp);
      return clock.last;
    },
  };
}

// ---- To be wired to the store ------------------------------------------------------------------

/**
 * The complete state of the replica that `openLocal` opened, in bytes on the wire.
 * @returns {number}
 */
function encodedSize(_replica) {
  return notWired("encodedSize");
}

/**
 * Encoded updates as links would carry them; update `i` is what writer `i % writers` did in one
 * flush of `batch` increments, on the keys of `updateSequence(stream, writer)` in order.
 * @param {{ writers: number, keyCount: number, batch: number, updates: number }} _stream
 * @returns {Promise<Uint8Array[]>} `updates` of them, in the order in which they arrive
 */
export async function makeUpdates(_stream) {
  return notWired("makeUpdates");
}

/**
 * A fresh replica with one link to each of `writers`.
 * @returns {Promise<{ apply(update: Uint8Array, writer: number): void, check(): number }>}
 *   `apply` decodes, validates and joins, all before it returns; `check` is the sum of all counters
 */
export async function openReceiver(_stream) {
  return notWired("openReceiver");
}

/**
 * The complete state of a replica that holds what `writers` did: writer `w` increments the keys
 * `k${i}` for the `i` of `writerSequence(shape, w)`, in turns of 1,000.
 * @param {{ keyCount: number, writers: number, randomEach: number }} _shape
 * @returns {Promise<Uint8Array>} where it travels in pieces, all of them in one array that
 *   `loadState` takes apart
 */
export async function buildState(_shape) {
  return notWired("buildState");
}

/** What `loadState` is given. */
export const prepareState = (bytes) => bytes;

/**
 * A fresh replica with that state, everything decoded and indexed, ready to read, write and send.
 * @param {Uint8Array} _bytes
 * @returns {Promise<{ value(key: string): number, close?(): Promise<void> }>}
 */
export async function loadState(_bytes) {
  return notWired("loadState");
}

/**
 * Bytes of what a peer at the shared state lacks, besides the handshake, after a further writer
 * incremented `keys[index]` for each of `indexes` in one flush.
 * @returns {Promise<number>}
 */
export async function catchUpBytes(_bytes, _indexes, _keys) {
  return notWired("catchUpBytes");
}

/**
 * Bytes of a live frame for one changed counter, its key and actor already announced on the link,
 * while the vector has this many actors.
 * @param {{ actors: number }} _options
 * @returns {Promise<number>}
 */
export async function frameBytes(_options) {
  return notWired("frameBytes");
}

/**
 * How many entries the frame has that follows from so many increments of one key in one flush.
 * @param {{ increments: number }} _options
 * @returns {Promise<number>}
 */
export async function flushEntries(_options) {
  return notWired("flushEntries");
}

/**
 * Two replicas with equal vectors that hold one increment of each key `k0` to `k${keyCount - 1}`.
 * @param {{ keyCount: number }} _options
 * @returns {Promise<{
 *   change(indexes: number[]): void | Promise<void>,
 *   transfer(): void | Promise<void>,
 *   check(): number,
 * }>} `change` increments those keys once each at the first and flushes; `transfer` encodes what
 *   the second lacks, from its vector, and applies it there; `check` is the second's sum
 */
export async function openPair({ keyCount: _keyCount }) {
  return notWired("openPair");
}

// ---- Loopback, by the public contract ----------------------------------------------------------

/**
 * One of three processes: "peer" listens, "writer" and "reader" dial it.
 * @returns see `loopback-process.mjs` for who calls what
 */
export async function openLoopback({ role, url }) {
  if (role === "peer") {
    const replica = await openBenchmarkReplica({ listen: { port: 0 } });
    const { host, port } = replica.address;
    return { url: `ws://${host}:${port}`, close: () => replica.close() };
  }
  const replica = await openBenchmarkReplica({ peers: [url] });
  await replica.synced({ timeoutMs: 10_000 });
  const { hits, registers } = replica.collections;
  return {
    sample: (sentUs) => registers.set("probe", sentUs),
    increment: (key) => hits.increment(key),
    turn,
    mark: () => replica.version(),
    until: (mark) => replica.waitFor(mark, { timeoutMs: 60_000 }),
    total: (keys) => keys.reduce((total, key) => total + hits.value(key), 0),
    async listen(receive) {
      for await (const { origin } of replica.watch("registers", { key: "probe" })) {
        if (origin === "remote") receive(registers.get("probe"));
      }
    },
    cut: () => replica.removePeer(url),
    heal: () => replica.addPeer(url),
    bytesIn: () => replica.status().peers.reduce((total, { bytesIn }) => total + bytesIn, 0),
    close: () => replica.close(),
  };
}
