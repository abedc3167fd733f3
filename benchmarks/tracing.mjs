/**
 * `npm run bench:tracing`: what spans cost a fenced update, and what they cost while nobody takes them. The
 * store is in memory, so an update is as quick as it gets and all that is added shows. The variants take turns
 * within each round; a figure is processor time, and the median over the rounds of its ratio to the first variant
 * in that round, with the quartiles; where other work disturbs that, the 10th percentiles of both are told beside it.
 *
 *   --against DIR   `dist` of another version, which the present one is compared with, both silent
 *   --quick         a fifth of the rounds: for a look, not for a verdict
 */
import process from "node:process";
import { pathToFileURL } from "node:url";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { median } from "./crdt/measure.mjs";
import { built } from "./crdt/trellis-build.mjs";

const { values: options } = parseArgs({
  options: { against: { type: "string" }, quick: { type: "boolean", default: false } },
});
const rounds = options.quick ? 60 : 300;
const updates = 250;

const nowhere = { export: (_, done) => done({ code: 0 }), shutdown: () => Promise.resolve() };
const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(nowhere)] });

async function shop(from, telemetry) {
  const { openReplica, fencedRegister } = await from("index.js");
  const { memoryLocks } = await from("escalate/locks/memory.js");
  const schema = { accounts: fencedRegister({ weakFence: true }) };
  return openReplica({ schema, locks: memoryLocks(), ...(telemetry && { telemetry }) });
}

/** Processor time, since other programs of the machine do not count in it; in ms. */
async function round({ collections }) {
  const start = process.cpuUsage();
  for (let i = 0; i < updates; i++) await collections.accounts.update("a", (now = 0) => now + 1);
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}

const at = (all, share) => all.toSorted((x, y) => x - y)[Math.floor(share * (all.length - 1))];

/** Prints each beside the first. */
async function compare(variants) {
  const took = variants.map(() => []);
  for (let i = -20; i < rounds; i++) {
    const order = [...variants.keys()];
    if (i % 2 !== 0) order.reverse();
    for (const v of order) {
      const ms = await round(variants[v][1]);
      if (i >= 0) took[v].push(ms);
    }
  }
  const quickest = took.map((all) => at(all, 0.1));
  for (const [v, [name]] of variants.entries()) {
    const ratios = took[v].map((ms, i) => ms / took[0][i]);
    const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => at(ratios, share).toFixed(3));
    const us = ((1_000 * median(took[v])) / updates).toFixed(1);
    const quick = (quickest[v] / quickest[0]).toFixed(3);
    process.stdout.write(
      `${name}: ${us} us an update, ${middle} (${low} to ${high}); of the quickest tenth ${quick}\n`,
    );
  }
  for (const [, replica] of variants) await replica.close();
}

const { silentTelemetry, withTracer } = await built("index.js");
const { openTelemetryTracer } = await built("telemetry/opentelemetry-tracer.js");
const traced = (tracer) => withTracer(silentTelemetry, openTelemetryTracer({ tracer }));
const before =
  options.against && ((name) => import(pathToFileURL(resolve(options.against, name)).href));

await compare([
  ...(before ? [["before, silent", await shop(before)]] : []),
  ["silent", await shop(built)],
  // Twice the same: what the machine does by itself.
  ["silent, again", await shop(built)],
]);
// From here on the present span follows every call of the process.
provider.register();
await compare([
  ["silent, beside an SDK", await shop(built)],
  ["recorded by the SDK", await shop(built, traced(provider.getTracer("bench")))],
]);
await provider.shutdown();
