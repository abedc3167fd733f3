/** What the links of a replica are made of. */
import type { ActorId } from "../crdt/dot.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Environment } from "../environment.ts";
import type { Received } from "../store/exchange.ts";
import type { Exchanges } from "../store/exchanges.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { Logger, Telemetry } from "../telemetry.ts";
import type { Forked } from "./forked.ts";
import type { LinkListener } from "./link-event.ts";
import type { Service } from "./service.ts";
import type { DoorOptions } from "../door.ts";
import type { DialTarget, Transport } from "./transport.ts";

/** What `Sync` is made of. */
export interface SyncOptions extends LinkListener {
  readonly keyspace: Keyspace;
  readonly exchanges: Exchanges;
  readonly environment: Environment;
  readonly transport: Transport;
  /** For people. */
  readonly name: string;
  /** What our disk has, if we have one; `stored` is called when that is more. */
  readonly durable?: () => VersionVector;
  /** What else is talked about over the links. */
  readonly services?: readonly Service[];
  readonly listen?: DoorOptions;
  /** Whom to dial, and dial again whenever the link breaks. */
  readonly peers?: readonly (string | DialTarget)[];
  /** How far a peer's clock may be from ours, in ms. Default 60,000. */
  readonly clockAheadMsMax?: number;
  /** How long a silent peer is taken into account by `passed`, in ms. Default a day. */
  readonly peerSilentMsMax?: number;
  /** Default 1,024. */
  readonly linksMax?: number;
  /** Default 5,000. */
  readonly heartbeatMs?: number;
  readonly logger?: Logger;
  readonly telemetry?: Telemetry;
  /** Called after each frame that was taken in, with the peer's actor. */
  readonly onReceived?: (received: Received, peer: ActorId) => void;
  /** Called when we had to take another actor. */
  readonly onForked?: (forked: Forked) => void;
  /** Called once a turn when links or acknowledgements changed. */
  readonly onChange?: () => void;
}
