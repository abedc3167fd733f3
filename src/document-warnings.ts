/** What is told of documents by nobody's call. */
import type { Events } from "./events.ts";
import type { ShelfListener } from "./store/documents/shelf.ts";
import type { Logger, Telemetry } from "./telemetry.ts";

/** Tells it in events, the log and metrics. */
export const documentWarnings = (
  events: Events,
  logger: Logger,
  telemetry: Telemetry,
): ShelfListener => ({
  passedOver: (key, updates) => {
    telemetry.count("trellis_document_updates_refused_total", updates);
    const message =
      `${updates} updates of the document ${JSON.stringify(key)} cannot be read by its library: they are ` +
      "kept, and not shown";
    events.tell("warning", { kind: "document", message });
  },
  failed: (what, error) => logger.error({ err: error }, what),
});
