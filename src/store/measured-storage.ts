/** A storage whose writes are measured: all that a replica keeps there, whoever writes it. */
import type { Environment } from "../environment.ts";
import type { Telemetry } from "../telemetry.ts";
import type { StorageEngine, WriteBatch } from "./storage.ts";

/** What measures. */
export interface Measure {
  readonly environment: Environment;
  readonly telemetry: Telemetry;
}

/** The same storage. */
export const measuredStorage = (engine: StorageEngine, measure: Measure): StorageEngine => ({
  location: engine.location,
  tornBytes: engine.tornBytes,
  batch: () => measuredBatch(engine.batch(), measure),
  read: (from, to) => engine.read(from, to),
  size: () => engine.size(),
  close: () => engine.close(),
});

function measuredBatch(batch: WriteBatch, { environment, telemetry }: Measure): WriteBatch {
  let bytes = 0;
  return {
    put: (key, value) => {
      bytes += key.length + value.length;
      batch.put(key, value);
    },
    delete: (key) => {
      bytes += key.length;
      batch.delete(key);
    },
    write: (options) => {
      const beganMs = environment.monotonic();
      const wrote = (): void => {
        const tookMs = environment.monotonic() - beganMs;
        telemetry.observe("trellis_storage_write_ms", tookMs, { sync: String(options.sync) });
        telemetry.count("trellis_storage_written_bytes_total", bytes);
      };
      const written = batch.write(options);
      written.then(wrote, () => telemetry.count("trellis_storage_write_failures_total"));
      return written;
    },
    discard: () => batch.discard(),
  };
}
