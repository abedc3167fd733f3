/**
 * The port to a replica that is compared with another: it answers for ranges of keys with counts and
 * digests, and never shows what is under a key. `KeyspaceWitness` answers for a keyspace at hand,
 * `PeerWitness` for a live peer.
 */
import type { RangeDigest } from "./key-digest.ts";
import type { NamedVector } from "../version-token.ts";

/** Parts into which a range is divided at once. */
export const partsMax = 64;

/** Keys above `after`, up to and with `to`, in the canonical order. Undefined: no bound. */
export interface KeyRange {
  readonly after: string | undefined;
  readonly to: string | undefined;
}

/** Keys up to and with `last`, after those of the part before. */
export interface Part extends RangeDigest {
  readonly last: string;
}

/** A collection, and how many keys of it are live. */
export interface CollectionSize {
  readonly name: string;
  readonly tag: string;
  readonly keys: number;
}

/** Answers for one replica, one question at a time. A collection that it does not know is empty. */
export interface Witness {
  /** Whether the replica cannot change while it is asked. */
  readonly isStill: boolean;
  /** Begins a look: what is asked afterwards is about the keys that are there now, and what they hold then. */
  begin(): Promise<readonly CollectionSize[]>;
  /** What the replica held when the last question was answered. */
  vector(): Promise<NamedVector>;
  /** Divides a range into at most `parts` parts with as many keys each, none of them empty. */
  split(collection: string, range: KeyRange, parts: number): Promise<readonly Part[]>;
  /** Answers for the parts of a range that end at each of `bounds`, and at its end. */
  digests(
    collection: string,
    range: KeyRange,
    bounds: readonly string[],
  ): Promise<readonly RangeDigest[]>;
  /** Ends what is being worked out. Harmless twice. */
  close(): Promise<void>;
}
