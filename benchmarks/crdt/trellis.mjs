/**
 * Trellis as its users write it: local operations, the clock and the loopback rows. What the public
 * contract does not have, updates, states and frames, is in `trellis-store.mjs`.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { turn } from "./measure.mjs";
import { built } from "./trellis-build.mjs";
import { turnOperations } from "./workload.mjs";

export * from "./trellis-store.mjs";

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
 *   `check()` is the sum, number of registers or of elements left; `settle()` waits until what was
 *   removed is forgotten; `encodedSize()` is the bytes of the complete state, handshake included
 */
export async function openLocal(workload) {
  const replica = await openBenchmarkReplica({ listen: { port: 0 } });
  return {
    ...operationsOf(replica.collections, workload),
    turn,
    settle: () => untilForgotten(replica),
    encodedSize: () => encodedSize(replica),
    close: () => replica.close(),
  };
}

/** Removals that no peer has to hear of are forgotten about once a second. */
async function untilForgotten(replica) {
  const endMs = performance.now() + 10_000;
  while (replica.status().removalsKept > 0) {
    if (performance.now() > endMs) throw new Error("removals are not forgotten");
    await sleep(50);
  }
}

/** What a fresh replica receives that dials this one. */
async function encodedSize(replica) {
  const { host, port } = replica.address;
  const url = `ws://${host}:${port}`;
  const { bytesIn, close } = await openLoopback({ role: "reader", url });
  const bytes = bytesIn();
  await close();
  return bytes;
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

/** A set of `elements`; `run` adds `margin` to it, removes it again, in turns of 1,000, and forgets it. */
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
      await untilForgotten(replica);
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
