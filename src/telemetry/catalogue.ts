/** Every metric of Trellis, once. What is emitted under another name, or with another label, goes nowhere. */
import { documentMetrics } from "./catalogue/documents.ts";
import { edgeMetrics } from "./catalogue/edge.ts";
import { escalationMetrics } from "./catalogue/escalation.ts";
import { httpMetrics } from "./catalogue/http.ts";
import { replicationMetrics } from "./catalogue/replication.ts";
import type { Metric } from "./metric.ts";

export type { Metric, MetricKind, MetricSource } from "./metric.ts";

/** In the order in which they are shown. */
export const catalogue: readonly Metric[] = [
  ...replicationMetrics,
  ...escalationMetrics,
  ...edgeMetrics,
  ...documentMetrics,
  ...httpMetrics,
];

/** By name. */
export const metrics: ReadonlyMap<string, Metric> = new Map(
  catalogue.map((metric) => [metric.name, metric]),
);
