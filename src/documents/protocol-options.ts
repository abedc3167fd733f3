/** What a protocol that clients of documents speak is made of. */
import type { Environment } from "../environment.ts";
import type { DocumentCollection } from "../store/collections/documents.ts";
import type { Logger, Telemetry } from "../telemetry.ts";
import type { GossipListener, GossipTopic } from "./gossip.ts";

/**
 * What `yjsProtocols` and `automergeProtocol` take.
 * @typeParam D what is read
 * @typeParam C what is changed
 */
export interface ProtocolOptions<D = unknown, C = unknown> {
  /** Where the documents are. */
  readonly documents: DocumentCollection<D, C>;
  /** The name of that collection, by which rights are given. */
  readonly collection: string;
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  /** Lines must not name documents nor have their content. */
  readonly logger: Logger;
  /** Opens the topic of this protocol. Called at most once. */
  readonly gossip: (listener: GossipListener) => GossipTopic;
}
