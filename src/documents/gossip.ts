/**
 * Words that replicas pass on and nobody keeps: who is looking at a document, and where.
 *
 * A word that is news to a replica goes on to its other peers, so it comes wherever a chain of peers leads that
 * have this service. Whether it is news is for the topic to say; so none goes round for ever. A peer that is slow
 * is not waited for.
 */

/** A peer that takes words, while the link to it stands. */
export interface GossipPeer {
  /** At most 64 KiB. False if there is no room: then it was not sent. */
  tell(key: string, bytes: Uint8Array): boolean;
}

/** What one topic does with what it hears. None of these may throw, but `heard` for what is none of its own. */
export interface GossipListener {
  /** Whether that was news, and is to go on. @throws MalformedError, which ends the link. */
  heard(key: string, bytes: Uint8Array): boolean;
  /** A peer has come: what it should know. */
  met(peer: GossipPeer): void;
}

/** Where the words of one topic are told. */
export interface GossipTopic {
  /** Tells all peers. Lost where there is no room. */
  tell(key: string, bytes: Uint8Array): void;
}
