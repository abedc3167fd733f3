/** Metrics of documents of other libraries, and of who edits them through the port. */
import { counter, from, gauge, type Metric } from "../metric.ts";

/** Of clients, by the protocol that they speak. */
const clientMetrics: readonly Metric[] = [
  gauge(
    "trellis_document_clients",
    "clients",
    ["protocol"],
    "Clients of documents that are connected.",
  ),
  counter(
    "trellis_document_client_in_bytes_total",
    "bytes",
    ["protocol"],
    "Messages that came from clients of documents.",
  ),
  counter(
    "trellis_document_client_out_bytes_total",
    "bytes",
    ["protocol"],
    "Messages that were sent to clients of documents.",
  ),
  counter(
    "trellis_document_clients_ended_total",
    "clients",
    ["protocol", "reason"],
    "Clients that were given up: `slow`, which took nothing while bytes waited, or too many did; `silent`, which answered no pings; `malformed`, which sent text, too long a message or no WebSocket; `failed`, by an error of ours.",
  ),
].map((metric) => from("edge", metric));

/** All of them. */
export const documentMetrics: readonly Metric[] = [
  counter(
    "trellis_document_updates_refused_total",
    "updates",
    [],
    "Updates of documents that their library cannot read, when the document was read: they are kept, and not shown.",
  ),
  ...clientMetrics,
];
