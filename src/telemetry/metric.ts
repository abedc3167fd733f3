/**
 * What is said of one metric. Names begin with `trellis_` and have the unit last; a figure that only grows
 * has `_total` behind that, as Prometheus wants: `trellis_storage_written_bytes_total`. Times are in ms, as
 * everywhere in Trellis.
 */

/** `counter` only grows; `gauge` goes up and down; `distribution` is made of single measurements. */
export type MetricKind = "counter" | "gauge" | "distribution";

/** Which layer emits it: a replica, the edge of its port (who is let in), or HTTP on it. */
export type MetricSource = "replica" | "edge" | "http";

/** One metric. */
export interface Metric {
  readonly name: string;
  readonly kind: MetricKind;
  /** What one is: `ms`, `bytes`, `batches`. */
  readonly unit: string;
  readonly labels: readonly string[];
  /** What it means, in one sentence. */
  readonly help: string;
  /** Upper bounds of the buckets of a distribution, in its unit; empty for others. */
  readonly buckets: readonly number[];
  readonly source: MetricSource;
}

/** Of waits and work, from a tenth of a millisecond to half a minute, in ms. */
export const msBuckets: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];

/** Of messages, from what one small write takes to the largest frame, in bytes. */
export const bytesBuckets: readonly number[] = [
  64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
];

/** A figure that only grows. */
export const counter = (
  name: string,
  unit: string,
  labels: readonly string[],
  help: string,
): Metric => ({ name, kind: "counter", unit, labels, help, buckets: [], source: "replica" });

/** A figure that goes up and down. */
export const gauge = (
  name: string,
  unit: string,
  labels: readonly string[],
  help: string,
): Metric => ({ name, kind: "gauge", unit, labels, help, buckets: [], source: "replica" });

/** Single measurements. */
export const distribution = (
  name: string,
  buckets: readonly number[],
  unit: string,
  labels: readonly string[],
  help: string,
): Metric => ({ name, kind: "distribution", unit, labels, help, buckets, source: "replica" });

/** The same of another layer. */
export const from = (source: MetricSource, metric: Metric): Metric => ({ ...metric, source });
