/**
 * The figures as Prometheus reads them. `prom-client` writes the text and has the distributions; counters and
 * gauges are put into it when somebody looks.
 */
import { Counter, Gauge, Histogram, type MetricConfiguration, Registry } from "prom-client";
import type { Telemetry } from "../telemetry.ts";
import { catalogue, type Metric } from "./catalogue.ts";
import { Figures, type Reading } from "./figures.ts";
import { MetricSeries } from "./series.ts";

/** Where to put them. */
export interface PrometheusOptions {
  /** Another one than of its own: beside figures of the service. It may have one such telemetry only. */
  readonly registry?: Registry;
}

/** A telemetry that Prometheus can read. Several replicas of one process may share it: they are added up. */
export interface PrometheusTelemetry extends Telemetry {
  /** All figures of the registry, to answer a scrape with. Runs what was given to `collect`. */
  text(): Promise<string>;
  /** The content type of `text`. */
  readonly contentType: string;
}

/**
 * Makes one. Every metric of the catalogue is there from the beginning.
 * @throws Error if the registry has one of them already.
 */
export function prometheusTelemetry({
  registry = new Registry(),
}: PrometheusOptions = {}): PrometheusTelemetry {
  const figures = new Figures();
  let reading: Reading | undefined;
  /** A registry asks for all its metrics in one turn: they are of one moment. */
  const read = (): Reading => {
    if (reading) return reading;
    queueMicrotask(() => {
      reading = undefined;
    });
    return (reading = figures.read());
  };
  const distributions = new Map<string, Distribution>();
  for (const metric of catalogue) {
    if (metric.kind === "distribution") {
      distributions.set(metric.name, new Distribution(metric, registry));
    } else register(metric, registry, read);
  }
  return {
    count: (name, value, labels) => figures.count(name, value, labels),
    gauge: (name, value, labels) => figures.gauge(name, value, labels),
    observe: (name, value, labels) => distributions.get(name)?.observe(value, labels),
    collect: (reader) => figures.collect(reader),
    text: () => registry.metrics(),
    get contentType() {
      return registry.contentType;
    },
  };
}

const describe = (
  { name, help, labels }: Metric,
  registry: Registry,
): MetricConfiguration<string> => ({
  ...{ name, help, labelNames: [...labels], registers: [registry] },
});

function register(metric: Metric, registry: Registry, read: () => Reading): void {
  const { name } = metric;
  const config = describe(metric, registry);
  if (metric.kind === "counter") {
    const collect = (): void => {
      counter.reset();
      for (const { labels, value } of read().get(name) ?? []) counter.inc(labels, value);
    };
    const counter = new Counter({ ...config, collect });
  } else {
    const collect = (): void => {
      gauge.reset();
      for (const { labels, value } of read().get(name) ?? []) gauge.set(labels, value);
    };
    const gauge = new Gauge({ ...config, collect });
  }
}

/** A histogram with a bound on its series. */
class Distribution {
  readonly #histogram: Histogram;
  readonly #series: MetricSeries;

  constructor(metric: Metric, registry: Registry) {
    const buckets = [...metric.buckets];
    this.#histogram = new Histogram({ ...describe(metric, registry), buckets });
    this.#series = new MetricSeries(metric);
  }

  observe(value: number, labels: Readonly<Record<string, string>> | undefined): void {
    if (!Number.isFinite(value)) return;
    this.#histogram.observe(this.#series.at(labels).labels, value);
  }
}
