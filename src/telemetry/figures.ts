/**
 * The figures of one telemetry, whatever shows them: what was pushed is kept here, in plain numbers, and what
 * is only read is read when somebody looks. So a push costs one look-up, and what shows them is handed whole
 * readings.
 */
import type { FigureSink, Labels } from "../telemetry.ts";
import { metrics } from "./catalogue.ts";
import type { MetricKind } from "./metric.ts";
import { MetricSeries } from "./series.ts";

type Reader = (sink: FigureSink) => void;

/** Series by the names of their metrics. */
export type Reading = ReadonlyMap<string, MetricSeries>;

/** Counters and gauges of one telemetry. Nothing here throws. */
export class Figures {
  readonly #pushed = new Map<string, MetricSeries>();
  readonly #readers = new Set<Reader>();

  /** What is not in the catalogue, or is no number, is dropped. */
  count(name: string, value = 1, labels?: Labels): void {
    if (value >= 0 && value < Number.POSITIVE_INFINITY) this.#add("counter", name, value, labels);
  }

  gauge(name: string, value: number, labels?: Labels): void {
    const series = this.#of(this.#pushed, "gauge", name);
    if (series && Number.isFinite(value)) series.at(labels).value = value;
  }

  /**
   * Reads with `read` from now on. Where several say something of one series they are added up. Who ends it
   * leaves the totals: a figure that only grows does not fall back when a replica closes.
   */
  collect(read: Reader): () => void {
    this.#readers.add(read);
    return () => {
      if (!this.#readers.delete(read)) return;
      const total = (name: string, value: number, labels?: Labels): void =>
        this.count(name, value, labels);
      tell(read, { total, gauge: () => undefined });
    };
  }

  /** All figures as they are now. O(series). */
  read(): Reading {
    const reading = new Map<string, MetricSeries>();
    for (const [name, series] of this.#pushed) reading.set(name, series.copy());
    const add = (kind: MetricKind, name: string, value: number, labels?: Labels): void => {
      const series = this.#of(reading, kind, name);
      if (series && Number.isFinite(value)) series.at(labels).value += value;
    };
    const sink: FigureSink = {
      total: (name, value, labels) => add("counter", name, Math.max(0, value), labels),
      gauge: (name, value, labels) => add("gauge", name, value, labels),
    };
    for (const reader of this.#readers) tell(reader, sink);
    return reading;
  }

  #add(kind: MetricKind, name: string, value: number, labels: Labels | undefined): void {
    const series = this.#of(this.#pushed, kind, name);
    if (series) series.at(labels).value += value;
  }

  #of(from: Map<string, MetricSeries>, kind: MetricKind, name: string): MetricSeries | undefined {
    const known = from.get(name);
    if (known) return known.metric.kind === kind ? known : undefined;
    const metric = metrics.get(name);
    if (metric?.kind !== kind) return undefined;
    const series = new MetricSeries(metric);
    from.set(name, series);
    return series;
  }
}

/** Whoever looks gets what the others say. */
function tell(read: Reader, sink: FigureSink): void {
  try {
    read(sink);
  } catch {
    // A replica that is half closed may have nothing to say.
  }
}
