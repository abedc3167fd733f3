// A process of collector.test.ts: a replica whose spans go to a collector as OTLP/JSON, as those of a service do.
import process from "node:process";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { fencedRegister, openReplica, silentTelemetry, withTracer } from "trellis-state";
import { embeddedLocks } from "trellis-state/locks/embedded";
import { openTelemetryTracer } from "trellis-state/telemetry/opentelemetry-tracer";

const { name, host, peer, collector } = JSON.parse(process.argv[2]);
const provider = new NodeTracerProvider({
  spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url: collector }))],
});
provider.register();
const tracer = provider.getTracer(name);

const replica = await openReplica({
  schema: { accounts: fencedRegister({ weakFence: true }) },
  name,
  telemetry: withTracer(silentTelemetry, openTelemetryTracer({ tracer })),
  locks: embeddedLocks({ host }),
  ...(host ? { listen: { port: 0 } } : { peers: [peer] }),
});
const { accounts } = replica.collections;

/** What the test asks for, each in a span of this service. */
const requests = {
  update: () => accounts.update("ada", (now = 0) => now + 1),
  transfer: () => {
    const both = [accounts.at("ada"), accounts.at("bob")];
    return replica.escalate(both, (section) => {
      section.set(both[0], 1);
      section.set(both[1], 2);
    });
  },
  failure: () =>
    replica.escalate([accounts.at("ada")], () => {
      throw new RangeError("the message of an error");
    }),
  late: () => accounts.update("ada", (now = 0) => now + 1, { waitMs: 300 }),
};

const asked = (request) =>
  tracer.startActiveSpan(`request ${request}`, async (span) => {
    try {
      await requests[request]();
      return "done";
    } catch (error) {
      return error.code ?? error.name;
    } finally {
      span.end();
    }
  });

async function answer(request) {
  const outcome = await asked(request);
  await provider.forceFlush();
  process.send({ outcome });
}

process.on("message", ({ request }) => void answer(request));
process.on("disconnect", () => process.exit());
await replica.synced({ timeoutMs: 10_000 });
process.send({ port: replica.address?.port });
