/** What a reader of OpenTelemetry's own SDK gets. */
import {
  DataPointType,
  type MetricData,
  MeterProvider,
  MetricReader,
} from "@opentelemetry/sdk-metrics";
import { expect, test } from "vitest";
import { counter, openReplica } from "../../src/index.ts";
import { metrics } from "../../src/telemetry/catalogue.ts";
import { openTelemetryMetrics } from "../../src/telemetry/opentelemetry.ts";

/** Reads when it is asked. */
class ManualReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}

  async metrics(): Promise<ReadonlyMap<string, MetricData>> {
    const { resourceMetrics, errors } = await this.collect();
    if (errors.length > 0) throw new AggregateError(errors, "not all could be read");
    const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics);
    return new Map(all.map((metric) => [metric.descriptor.name, metric]));
  }
}

function opened() {
  const reader = new ManualReader();
  const provider = new MeterProvider({ readers: [reader] });
  return { reader, telemetry: openTelemetryMetrics({ meter: provider.getMeter("trellis") }) };
}

const points = (metric: MetricData | undefined) =>
  metric?.dataPoints.map(({ attributes, value }) => ({ attributes, value }));

test("counters and gauges are what they are when somebody reads", async () => {
  const { reader, telemetry } = opened();
  telemetry.count("trellis_links_ended_total", 2, { code: "leaving" });
  telemetry.gauge("trellis_http_streams", 3);
  let keys = 5;
  telemetry.collect?.((sink) => {
    sink.total("trellis_causal_waits_total", 11);
    sink.gauge("trellis_keys", keys, { collection: "likes" });
  });
  await reader.metrics();
  keys = 4;
  const read = await reader.metrics();
  const ended = read.get("trellis_links_ended_total");
  expect(points(ended)).toEqual([{ attributes: { code: "leaving" }, value: 2 }]);
  expect(ended?.dataPointType).toBe(DataPointType.SUM);
  expect(ended).toMatchObject({ isMonotonic: true, descriptor: { unit: "{links}" } });
  expect(points(read.get("trellis_causal_waits_total"))).toEqual([{ attributes: {}, value: 11 }]);
  expect(points(read.get("trellis_http_streams"))).toEqual([{ attributes: {}, value: 3 }]);
  const held = read.get("trellis_keys");
  expect(held?.dataPointType).toBe(DataPointType.GAUGE);
  expect(points(held)).toEqual([{ attributes: { collection: "likes" }, value: 4 }]);
});

test("distributions have the bounds and units of the catalogue", async () => {
  const { reader, telemetry } = opened();
  telemetry.observe("trellis_frame_out_bytes", 100);
  telemetry.observe("trellis_frame_out_bytes", Number.NaN);
  telemetry.observe("trellis_unheard_of_ms", 1);
  const frames = (await reader.metrics()).get("trellis_frame_out_bytes");
  expect(frames?.descriptor.unit).toBe("By");
  const [point] = frames?.dataPoints ?? [];
  expect(point?.value).toMatchObject({ count: 1, sum: 100 });
  const { buckets } = metrics.get("trellis_frame_out_bytes") ?? {};
  expect(point?.value).toMatchObject({ buckets: { boundaries: buckets } });
});

test("a replica is seen while it is open, and leaves its totals", async () => {
  const { reader, telemetry } = opened();
  const replica = await openReplica({ schema: { likes: counter() }, telemetry });
  replica.collections.likes.increment("post");
  replica.version();
  const changes = [{ attributes: { collection: "likes", kind: "increment" }, value: 1 }];
  const read = await reader.metrics();
  expect(points(read.get("trellis_changes_total"))).toEqual(changes);
  expect(points(read.get("trellis_members"))).toEqual([{ attributes: {}, value: 1 }]);
  await replica.close();
  const after = await reader.metrics();
  expect(points(after.get("trellis_changes_total"))).toEqual(changes);
  // The SDK would go on with the last value.
  expect(points(after.get("trellis_members"))).toEqual([{ attributes: {}, value: 0 }]);
  expect(points(after.get("trellis_keys"))?.map(({ value }) => value)).toEqual([0]);
});
