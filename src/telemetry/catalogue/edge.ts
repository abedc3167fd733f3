/** Metrics of who is let in at the port of a replica, and how. */
import { counter, from, gauge, type Metric } from "../metric.ts";

/** Of the door, before HTTP and links. */
export const edgeMetrics: readonly Metric[] = [
  counter(
    "trellis_refused_total",
    "connections",
    ["reason"],
    "Connections and requests refused at the edge: `unauthenticated`, `forbidden`, `certificate`, `connections`, `slow`, `malformed` or `rate`.",
  ),
  counter(
    "trellis_certificate_failures_total",
    "times",
    [],
    "How often our certificates could not be read again; the old ones stay in use.",
  ),
  gauge("trellis_certificate_left_ms", "ms", [], "Until our certificate ends; below 0 it has."),
].map((metric) => from("edge", metric));
