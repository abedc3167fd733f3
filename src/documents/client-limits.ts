/** How much clients of documents may cost. */

/** Bounds of the clients of one protocol. */
export interface ClientLimits {
  /** Clients at a time. */
  readonly connectionsMax: number;
  /** Bytes that wait for one client when the next message is sent: beyond it the client is given up. */
  readonly waitingBytesMax: number;
  /** How long bytes may wait without any leaving, in ms. Found out at the next round of pings. */
  readonly stalledMsMax: number;
  /** Between two rounds of pings, in ms. Who says nothing for two of them is given up. */
  readonly pingMs: number;
  /** How long a closing connection waits for its client, in ms. */
  readonly closeMsMax: number;
}

/** As a replica has them. */
export const defaultClientLimits: ClientLimits = {
  connectionsMax: 1_024,
  waitingBytesMax: 16 * 1024 * 1024,
  stalledMsMax: 30_000,
  pingMs: 15_000,
  closeMsMax: 1_000,
};
