/** What a link is made of. */
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Environment } from "../environment.ts";
import type { Exchanges } from "../store/exchanges.ts";
import type { Telemetry } from "../telemetry.ts";
import type { LinkOwner } from "./link-owner.ts";

/** What a link is made of. */
export interface LinkOptions {
  readonly number: number;
  /** The address that we dialed; absent when the peer dialed. */
  readonly url?: string;
  readonly exchanges: Exchanges;
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  readonly owner: LinkOwner;
  readonly heartbeatMs: number;
  /** Whether the peer may only read: it is sent everything, and nothing is taken from it. */
  readonly isReader: boolean;
  /** What our disk has, if we have one; the owner calls `stored` when that is more. */
  readonly durable?: () => VersionVector;
}
