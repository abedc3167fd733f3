/**
 * The figures as metrics of OpenTelemetry, through a `Meter` that the service hands in. Counters and gauges
 * are observed when its reader looks; distributions are recorded as they come.
 */
import type { Histogram, Meter, Observable } from "@opentelemetry/api";
import type { Telemetry } from "../telemetry.ts";
import { catalogue, type Metric } from "./catalogue.ts";
import { Figures, type Reading } from "./figures.ts";
import { MetricSeries } from "./series.ts";

/** Where to put them. */
export interface OpenTelemetryOptions {
  /** As `metrics.getMeter("trellis")` of `@opentelemetry/api` gives one. */
  readonly meter: Meter;
}

/** What OpenTelemetry calls units (UCUM); a noun goes into braces. */
const unitOf = ({ unit }: Metric): string =>
  unit === "bytes" ? "By" : unit === "ms" ? "ms" : `{${unit}}`;

/**
 * Makes a telemetry. Names, labels and bounds of buckets are those of the catalogue; views of the service may
 * change them. It has no tracer: put one beside it, `{ ...openTelemetryMetrics({ meter }), tracer }`.
 */
export function openTelemetryMetrics({ meter }: OpenTelemetryOptions): Telemetry {
  const figures = new Figures();
  const observed = new Map<string, Observable>();
  const recorded = new Map<string, Recorded>();
  const gauges = new Map<string, MetricSeries>();
  for (const metric of catalogue) {
    const { name, help: description, buckets } = metric;
    const options = { description, unit: unitOf(metric) };
    switch (metric.kind) {
      case "counter":
        observed.set(name, meter.createObservableCounter(name, options));
        break;
      case "gauge":
        observed.set(name, meter.createObservableGauge(name, options));
        break;
      case "distribution": {
        const advice = { explicitBucketBoundaries: [...buckets] };
        const histogram = meter.createHistogram(name, { ...options, advice });
        recorded.set(name, { histogram, series: new MetricSeries(metric) });
      }
    }
  }
  meter.addBatchObservableCallback(
    (result) => {
      for (const [name, series] of withZeros(figures.read(), gauges)) {
        const instrument = observed.get(name);
        if (!instrument) continue;
        for (const { labels, value } of series) result.observe(instrument, value, labels);
      }
    },
    [...observed.values()],
  );
  return {
    count: (name, value, labels) => figures.count(name, value, labels),
    gauge: (name, value, labels) => figures.gauge(name, value, labels),
    observe: (name, value, labels) => {
      const at = recorded.get(name);
      if (at && Number.isFinite(value)) at.histogram.record(value, at.series.at(labels).labels);
    },
    collect: (reader) => figures.collect(reader),
  };
}

/**
 * A reading in which every series of a gauge stands that ever was there, by 0 if it is not told now. The SDK
 * would go on with its last value: the lag of a peer that is gone. As bounded as a metric's series are.
 */
function withZeros(reading: Reading, gauges: Map<string, MetricSeries>): Reading {
  for (const series of gauges.values()) for (const one of series) one.value = 0;
  const complete = new Map(reading);
  for (const [name, told] of reading) {
    if (told.metric.kind !== "gauge") continue;
    const series = gauges.get(name) ?? new MetricSeries(told.metric);
    gauges.set(name, series);
    for (const { labels, value } of told) series.at(labels).value += value;
  }
  for (const [name, series] of gauges) complete.set(name, series);
  return complete;
}

/** A histogram with a bound on its series. */
interface Recorded {
  readonly histogram: Histogram;
  readonly series: MetricSeries;
}
