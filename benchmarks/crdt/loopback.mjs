/**
 * How long does a change take from one process to another through a third, and how much gets
 * through? Writer, peer and reader are processes on loopback; the floor is a raw `ws` relay and
 * JSON in the same three places. Wall time, on 2 cores or more; the two systems take turns.
 */
import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { interleave, median, summarise, verify } from "./measure.mjs";
import { cached, turnOperations } from "./workload.mjs";

export const title = "Over loopback: writer, peer and reader as processes, wall time";

const rounds = 3;
const roles = ["peer", "writer", "reader"];

/** Rows of one experiment are parts of what one run of it finds. */
const experiments = { latency, single, burst, reconnect };

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "latency-p50",
    label: "one way, a register every 10 ms, p50",
    unit: "us",
    target: { ratio: { atMost: 1.5 } },
    why: "three processes join and encode with cold caches after 10 ms of rest; the relay reads nothing",
    experiment: "latency",
    part: "p50",
  },
  { id: "latency-p99", label: "the same, p99", unit: "us", experiment: "latency", part: "p99" },
  {
    id: "single-operations",
    label: "one increment a turn, until the reader has all",
    unit: "/s",
    target: { ratio: { atLeast: 0.7 } },
    experiment: "single",
    part: "rate",
  },
  {
    id: "burst-lag",
    label: "1,000,000 increments over 10,000 keys, reader after the end",
    unit: "ms",
    target: { ours: { atMost: 100 } },
    experiment: "burst",
    part: "lagMs",
  },
  {
    id: "burst-writer-cpu",
    label: "the same, the writer's CPU time an increment, sending included",
    unit: "ns",
    experiment: "burst",
    part: "cpuNs",
  },
  {
    id: "reconnect-ms",
    label: "1,000 of 100,000 counters changed while apart, from dialling to equal",
    unit: "ms",
    experiment: "reconnect",
    part: "ms",
  },
  {
    id: "reconnect-bytes",
    label: "the same, bytes to the reader, handshake included",
    unit: "B",
    experiment: "reconnect",
    part: "bytes",
  },
];

/** Measures one row. */
export async function measure({ experiment, part }, context) {
  const build = async () => JSON.stringify(await perform(experiments[experiment], context));
  return JSON.parse(await cached(context, `loopback-${experiment}.json`, build))[part];
}

/** The figures of every part. */
async function perform(experiment, context) {
  const costs = {};
  const contestant = (system) => ({
    name: system,
    async round(warming) {
      const processes = await start(system);
      try {
        const found = await experiment(processes, { ...context, quick: context.quick || warming });
        for (const [part, figure] of Object.entries(found)) {
          const sofar = (costs[part] ??= new Map());
          sofar.set(system, warming ? [] : [...sofar.get(system), figure]);
        }
        return 0;
      } finally {
        await stop(processes);
      }
    },
  });
  const { absent } = await interleave([contestant("floor"), contestant("ours")], rounds);
  return Object.fromEntries(
    Object.entries(costs).map(([part, of]) => [part, summarise({ costs: of, absent })]),
  );
}

/** One way, in us. Processes that have just started would be measured at compiling. */
async function latency({ writer, reader }, { quick }) {
  const samples = quick ? 100 : 200;
  await reader.call("listen");
  await writer.call("sample", { samples: quick ? 300 : 1_000, gapMs: 1 });
  await writer.call("sample", { samples: 10, gapMs: 10 });
  await sleep(100);
  await reader.call("takeLatencies");
  await writer.call("sample", { samples, gapMs: 10 });
  await sleep(200);
  const taken = await reader.call("takeLatencies");
  if (taken.length < samples * 0.9) throw new Error(`${taken.length} of ${samples} samples came`);
  taken.sort((left, right) => left - right);
  return { p50: median(taken), p99: taken[Math.floor(taken.length * 0.99)] };
}

async function single(processes, { quick }) {
  const operations = quick ? 20_000 : 60_000;
  const { startUs, reachedUs } = await incrementUntilRead(processes, operations, 1);
  return { rate: (operations * 1_000_000) / (reachedUs - startUs) };
}

async function burst(processes, { quick }) {
  const operations = quick ? 200_000 : 1_000_000;
  const { endUs, reachedUs, cpuUs } = await incrementUntilRead(
    processes,
    operations,
    turnOperations,
  );
  return {
    lagMs: Math.max(0, reachedUs - endUs) / 1_000,
    cpuNs: (cpuUs * 1_000) / operations,
  };
}

/** A fifth of the work to warm up, and then all of it. */
async function incrementUntilRead({ writer, reader }, operations, perTurn) {
  const keyCount = 10_000;
  let expected = 0;
  let measured;
  for (const count of [operations / 5, operations]) {
    const input = { operations: count, keyCount, perTurn, seed: 1 };
    const written = await writer.call("increment", input);
    const read = await reader.call("until", { mark: written.mark, keyCount });
    expected += count;
    verify("the reader", read.total, expected);
    measured = { ...written, ...read };
  }
  return measured;
}

async function reconnect({ writer, reader }, { quick }) {
  const keyCount = quick ? 10_000 : 100_000;
  const changes = keyCount / 100;
  const filled = await writer.call("fill", { count: keyCount });
  await reader.call("until", { mark: filled.mark, keyCount });
  await reader.call("cut");
  await sleep(100);
  const { mark } = await writer.call("fill", { count: changes });
  await sleep(100);
  const { ms, bytes, total } = await reader.call("heal", { mark, keyCount });
  verify("the reader", total, keyCount + changes);
  return { ms, bytes };
}

/** Three fresh processes, connected. */
async function start(system) {
  const processes = {};
  try {
    for (const role of roles) processes[role] = startProcess();
    const { url } = await processes.peer.call("open", { system, role: "peer" });
    for (const role of ["writer", "reader"]) {
      await processes[role].call("open", { system, role, url });
    }
    return processes;
  } catch (error) {
    await stop(processes);
    throw error;
  }
}

/** A process that answers calls, until it is closed. */
function startProcess() {
  const child = fork(fileURLToPath(new URL("./loopback-process.mjs", import.meta.url)), [], {
    serialization: "advanced",
  });
  const waiting = new Map();
  let ids = 0;
  child.on("message", ({ id, result, error }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(Object.assign(new Error(error.message), error));
    else resolve(result);
  });
  child.on("exit", (code, signal) => {
    const error = new Error(`a process ended early (${signal ?? `exit code ${code}`})`);
    for (const { reject } of waiting.values()) reject(error);
  });
  return {
    child,
    call: (call, input) =>
      new Promise((resolve, reject) => {
        const id = ++ids;
        waiting.set(id, { resolve, reject });
        child.send({ id, call, input });
      }),
  };
}

async function stop(processes) {
  for (const role of ["writer", "reader", "peer"]) {
    await processes[role]?.call("close").catch(() => {});
    processes[role]?.child.disconnect();
  }
}
