/**
 * Figures of all links that a replica had. What `status()` says of a link ends with it, so frames are
 * counted from the telemetry; how far peers lag is seen whenever somebody looks.
 */
import type { PeerStatus, Telemetry } from "../../index.ts";
import type { Figures } from "./messages.ts";

/** A `Telemetry` that keeps what a replay shows. Bytes are those of frames: changes, no greetings. */
export class LinkFigures implements Telemetry {
  #framesIn = 0;
  #framesOut = 0;
  #bytesIn = 0;
  #bytesOut = 0;
  #lagBatchesMax = 0;

  observe(name: string, value: number): void {
    if (name === "trellis_frame_in_bytes") {
      this.#framesIn++;
      this.#bytesIn += value;
    } else if (name === "trellis_frame_out_bytes") {
      this.#framesOut++;
      this.#bytesOut += value;
    }
  }

  count(): void {}

  gauge(): void {}

  /** Takes note of how far the peers lag now. */
  look(peers: readonly PeerStatus[]): void {
    for (const { lagBatches } of peers) {
      if (lagBatches > this.#lagBatchesMax) this.#lagBatchesMax = lagBatches;
    }
  }

  /** How many links carry changes. */
  carrying(peers: readonly PeerStatus[]): number {
    return peers.filter(({ state }) => state === "streaming").length;
  }

  figures(): Omit<Figures, "operations" | "requestsKnown"> {
    return {
      framesIn: this.#framesIn,
      framesOut: this.#framesOut,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
      lagBatchesMax: this.#lagBatchesMax,
    };
  }
}
