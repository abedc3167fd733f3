/** A request over HTTP stays in the trace of who sent it, through a replica, to the lock authority of another. */
import { afterAll, beforeEach, expect, test } from "vitest";
import { silentTelemetry, withTracer } from "../../src/index.ts";
import { openTelemetryTracer } from "../../src/telemetry/opentelemetry-tracer.ts";
import { at, served } from "../http/scene.ts";
import { CollectedSpans } from "./collected-spans.ts";

const spans = new CollectedSpans();
beforeEach(() => spans.reset());
afterAll(() => spans.stop());

test("from a client's span over HTTP and a link to the host of the locks it is one trace", async () => {
  const telemetry = withTracer(silentTelemetry, openTelemetryTracer({ tracer: spans.tracer }));
  await using host = await served({ replica: { name: "host", telemetry } });
  const peers = [`ws://127.0.0.1:${host.replica.address?.port ?? 0}`];
  await using edge = await served({ replica: { name: "edge", peers, telemetry }, telemetry });
  await edge.replica.synced();
  const [traceId, spanId] = ["5a".repeat(16), "6b".repeat(8)];
  const headers = { traceparent: `00-${traceId}-${spanId}-01` };
  const claimed = await edge.post(at("username", "ada", "/claim"), { owner: "u:7" }, { headers });
  expect(claimed.status).toBe(200);
  const [written] = spans.named("trellis.authority.compare_and_set");
  if (!written) throw new Error("the authority was not asked in a span");
  expect(written.spanContext().traceId).toBe(traceId);
  expect(spans.chain(written)).toEqual([
    ...["trellis.authority.compare_and_set", "trellis.compare_and_set"],
    ...["trellis.escalate", "trellis.http"],
  ]);
  expect(spans.one("trellis.http").parentSpanContext?.spanId).toBe(spanId);
});
