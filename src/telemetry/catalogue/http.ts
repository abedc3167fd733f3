/** Metrics of HTTP on the port of a replica. */
import { counter, distribution, from, gauge, type Metric, msBuckets } from "../metric.ts";

/** Of HTTP. */
export const httpMetrics: readonly Metric[] = [
  counter(
    "trellis_http_requests_total",
    "requests",
    ["route", "status"],
    "Requests that were answered.",
  ),
  distribution(
    "trellis_http_request_ms",
    msBuckets,
    "ms",
    ["route"],
    "How long a request took until its answer was ready.",
  ),
  counter(
    "trellis_http_sheds_total",
    "requests",
    ["reason"],
    "Requests that were turned away because of too much work, with 429 or 503.",
  ),
  gauge("trellis_http_streams", "streams", [], "Streams of server-sent events that are open."),
  counter(
    "trellis_idempotent_replays_total",
    "requests",
    [],
    "Requests whose `Idempotency-Key` was known, so that they had the first answer and no second effect.",
  ),
].map((metric) => from("http", metric));
