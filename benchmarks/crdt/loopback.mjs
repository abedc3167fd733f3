/**
 * How long does a change take from one process to another through a third, and how much gets
 * through? Writer, peer and reader are processes on loopback; the floor is a raw `ws` relay and
 * JSON in the same three places. Wall time, on 2 cores or more; the two systems take turns.
 */
import { fork } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { interleave, median, summarise, verify } from "./measure.mjs";

export const title = "Over loopback: writer, peer and reader as processes, wall time";

const rounds = 3;
const roles = ["peer", "writer", "reader"];

/** @type {import("./report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "latency-p50",
    label: "one way, a register every 10 ms, p50",
    unit: "us",
    target: { ratio: { atMost: 1.5 } },
    run: (processes, context) => latency(processes, context, 0.5),
  },
  {
    id: "latency-p99",
    label: "the same, p99",
    unit: "us",
    run: (processes, context) => latency(processes, context, 0.99),
  },
  {
    id: "single-operations",
    label: "one increment a turn, until the reader has all",
    unit: "/s",
    target: { ratio: { atLeast: 0.7 } },
    run: singleOperations,
  },
  {
    id: "burst-lag",
    label: "1,000,000 increments over 10,000 keys, reader after the end",
    unit: "ms",
    target: { ours: { atMost: 100 } },
    run: async (processes, context) => (await burst(processes, context)).lagMs,
  },
  {
    id: "burst-writer-cpu",
    label: "the same, the writer's CPU time an increment, sending included",
    unit: "ns",
    run: async (processes, context) => (await burst(processes, context)).cpuNs,
  },
  {
    id: "reconnect-ms",
    label: "1,000 of 100,000 counters changed while apart, from dialling to equal",
    unit: "ms",
    run: async (processes, context) => (await reconnect(processes, context)).ms,
  },
  {
    id: "reconnect-bytes",
    label: "the same, bytes to the reader, handshake included",
    unit: "B",
    run: async (processes, context) => (await reconnect(processes, context)).bytes,
  },
];

/** Measures one row. */
export async function measure({ run }, context) {
  const contestant = (system) => ({
    name: system,
    async round(warming) {
      const processes = await start(system);
      try {
        return await run(processes, { ...context, quick: context.quick || warming });
      } finally {
        await stop(processes);
      }
    },
  });
  return summarise(await interleave([contestant("floor"), contestant("ours")], rounds));
}

async function latency({ writer, reader }, { quick }, quantile) {
  const samples = quick ? 50 : 200;
  await reader.call("listen");
  await writer.call("sample", { samples: 10, gapMs: 10 });
  await sleep(100);
  await reader.call("takeLatencies");
  await writer.call("sample", { samples, gapMs: 10 });
  await sleep(200);
  const taken = await reader.call("takeLatencies");
  if (taken.length < samples * 0.9) throw new Error(`${taken.length} of ${samples} samples came`);
  taken.sort((left, right) => left - right);
  return quantile === 0.5 ? median(taken) : taken[Math.floor(taken.length * quantile)];
}

async function singleOperations(processes, { quick }) {
  const operations = quick ? 5_000 : 50_000;
  const input = { operations, keyCount: 10_000, perTurn: 1, seed: 1 };
  const { startUs, reachedUs } = await incrementUntilRead(processes, input);
  return (operations * 1_000_000) / (reachedUs - startUs);
}

async function burst(processes, { quick }) {
  const operations = quick ? 100_000 : 1_000_000;
  const input = { operations, keyCount: 10_000, seed: 1 };
  const { endUs, reachedUs, cpuUs } = await incrementUntilRead(processes, input);
  return {
    lagMs: Math.max(0, reachedUs - endUs) / 1_000,
    cpuNs: (cpuUs * 1_000) / operations,
  };
}

async function incrementUntilRead({ writer, reader }, input) {
  const written = await writer.call("increment", input);
  const { mark } = written;
  const read = await reader.call("until", { mark, keyCount: input.keyCount });
  verify("the reader", read.total, input.operations);
  return { ...written, ...read };
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
  const healed = await reader.call("heal", { mark, keyCount });
  verify("the reader", healed.total, keyCount + changes);
  return healed;
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
