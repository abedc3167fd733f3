/** One row of the contest in one process: everyone has a copy of the build of its own, and they take turns. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { interleave, median, spend, turn } from "../crdt/measure.mjs";

class ManualReader extends MetricReader {
  async onForceFlush() {}
  async onShutdown() {}
}

/** What makes a telemetry, and what reads it. */
const telemetries = {
  prometheus: async (module) => {
    const { prometheusTelemetry } = await module("telemetry/prometheus.js");
    const telemetry = prometheusTelemetry();
    return { telemetry, read: () => telemetry.text() };
  },
  opentelemetry: async (module) => {
    const { openTelemetryMetrics } = await module("telemetry/opentelemetry.js");
    const reader = new ManualReader();
    const provider = new MeterProvider({ readers: [reader] });
    const telemetry = openTelemetryMetrics({ meter: provider.getMeter("trellis") });
    return { telemetry, read: () => reader.collect() };
  },
};

/**
 * A contestant's own copy of the build, and of the work. Optimised code is made for what it met first: with one
 * copy, whoever comes second would be slower, whatever it does.
 */
async function load(scratch, name) {
  const module = (path) => import(pathToFileURL(join(scratch, name, "dist", path)).href);
  const library = await module("index.js");
  const { memoryLocks } = await module("escalate/locks/memory.js");
  const { rows } = await import(`./rows.mjs?${name}`);
  const { telemetry, read } = (await telemetries[name]?.(module)) ?? {};
  const { counter, orSet, fencedRegister } = library;
  const schema = {
    likes: counter(),
    tags: orSet(),
    accounts: fencedRegister({ weakFence: true }),
  };
  const open = (options = {}) =>
    library.openReplica({
      ...{ schema, locks: memoryLocks() },
      ...(telemetry ? { telemetry } : {}),
      ...options,
    });
  return { open, rows, read };
}

/** One contestant's replicas. */
class Subject {
  constructor(name, loaded, row) {
    this.name = name;
    this.loaded = loaded;
    this.row = loaded.rows.find((one) => one.name === row);
    this.replicas = [];
  }

  async open() {
    const { open } = this.loaded;
    const { isLinked = false, prepare } = this.row;
    const writer = await open(isLinked ? { listen: { port: 0 } } : {});
    this.replicas.push(writer);
    const reader = isLinked
      ? await open({ peers: [`ws://127.0.0.1:${writer.address.port}`] })
      : undefined;
    if (reader) {
      this.replicas.push(reader);
      await reader.synced();
    }
    this.piece = prepare(writer.collections, { version: () => writer.version(), reader });
  }

  async round() {
    if (!this.piece) await this.open();
    const { nsEach } = await spend(
      async () => {
        let operations = 0;
        for (let i = 0; i < this.row.pieces; i++) operations += await this.piece();
        return operations;
      },
      { collect: "young" },
    );
    // As a scrape would, and not paid for here.
    await this.loaded.read?.();
    return nsEach;
  }

  async close() {
    for (const replica of this.replicas) await replica.close();
  }
}

/** What others on the machine do only makes rounds dearer: the cheapest tenth has least of it. */
function undisturbed(costs) {
  const sorted = costs.toSorted((left, right) => left - right);
  return median(sorted.slice(0, Math.max(1, Math.round(costs.length / 10))));
}

/**
 * CPU time of one operation, in ns, of each contestant.
 * @param {{ scratch: string, names: string[], row: string, rounds: number }} input
 * @returns {Promise<Record<string, number>>}
 */
export async function contest({ scratch, names, row, rounds }) {
  const subjects = [];
  for (const name of names) subjects.push(new Subject(name, await load(scratch, name), row));
  try {
    const { costs } = await interleave(
      subjects.map((subject) => ({ name: subject.name, round: () => subject.round() })),
      rounds,
    );
    return Object.fromEntries([...costs].map(([name, all]) => [name, undisturbed(all)]));
  } finally {
    for (const subject of subjects) await subject.close();
  }
}

/** What one reading takes, in ms, of a replica with so many keys. */
export async function reading({ scratch, name, keys }) {
  const { open, read } = await load(scratch, name);
  const replica = await open();
  for (let i = 0; i < keys; i++) replica.collections.likes.increment(`key-${i}`);
  await turn();
  const readings = 200;
  for (let i = 0; i < 20; i++) await read();
  const { nsEach } = await spend(async () => {
    for (let i = 0; i < readings; i++) await read();
    return readings;
  });
  await replica.close();
  return nsEach / 1e6;
}
