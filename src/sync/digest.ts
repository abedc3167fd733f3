/**
 * Are two vectors the same, without sending them? Their digests tell: SHA-256 over the entries in the
 * order of their actors, so that how a vector came about does not matter. When they differ, digests
 * of buckets (by the leading bits of the actor) tell where.
 */
import { createHash } from "node:crypto";
import type { Actors } from "../crdt/actors.ts";
import { actorBytes, type ActorId, actorIdFromBytes } from "../crdt/dot.ts";
import { type Ending, endingCode } from "../crdt/ending.ts";
import { VersionVector } from "../crdt/version-vector.ts";

/** One actor of a vector, by name. */
export interface Entry {
  readonly actor: ActorId;
  readonly sequence: number;
  /** When the actor ended, if it is known to have. */
  readonly ending?: Ending | undefined;
}

/** A whole vector in the order of actors, and its digest. */
export interface DigestedVector {
  readonly entries: readonly Entry[];
  readonly digest: Uint8Array;
}

/** Bytes of a digest. */
export const digestBytes = 16;

/** Bits of an actor by which buckets can be told apart. */
export const bucketBitsMax = 16;

const entriesPerBucket = 16;
const sequenceBytes = 4;
const endingBytes = 6;

/** Sorts entries as `digest` and the protocol want them. */
export const inActorOrder = (entries: Entry[]): Entry[] =>
  entries.sort((a, b) => (a.actor < b.actor ? -1 : a.actor > b.actor ? 1 : 0));

/** The entries as a vector over the numbers that `actors` gives. O(entries). */
export function numbered(entries: readonly Entry[], actors: Actors): VersionVector {
  const vector = new VersionVector();
  for (const { actor, sequence } of entries) vector.raise(actors.intern(actor), sequence);
  return vector;
}

/** The digest of entries that are in the order of their actors. O(entries). */
export function digest(entries: readonly Entry[]): Uint8Array {
  const bytes = Buffer.alloc(entries.length * (actorBytes + sequenceBytes + endingBytes));
  let at = 0;
  for (const { actor, sequence, ending } of entries) {
    at += bytes.write(actor, at, "hex");
    at = bytes.writeUInt32BE(sequence, at);
    at = bytes.writeUIntBE(endingCode(ending), at, endingBytes);
  }
  return createHash("sha256").update(bytes).digest().subarray(0, digestBytes);
}

/**
 * A name for an actor, of a random one and of what a peer drew: a machine that was copied with its
 * source of randomness draws the same as its copy.
 */
export function mixedActor(random: ActorId, salt: Uint8Array): ActorId {
  const mixed = createHash("sha256").update(random).update(salt).digest();
  return actorIdFromBytes(mixed.subarray(0, actorBytes));
}

/** How many leading bits to tell buckets apart by, for vectors of at most `entries` entries. */
export function bucketBits(entries: number): number {
  let bits = 0;
  while (bits < bucketBitsMax && entriesPerBucket * 2 ** bits < entries) bits++;
  return bits;
}

/** The bucket of an actor. */
export const bucketOf = (actor: ActorId, bits: number): number =>
  bits === 0 ? 0 : Number.parseInt(actor.slice(0, 8), 16) >>> (32 - bits);

/** The digest of each bucket, of entries in the order of their actors. O(entries + 2**bits). */
export function bucketDigests(entries: readonly Entry[], bits: number): Uint8Array[] {
  const digests: Uint8Array[] = [];
  let start = 0;
  for (let bucket = 0; bucket < 2 ** bits; bucket++) {
    let end = start;
    while (end < entries.length && bucketOf((entries[end] as Entry).actor, bits) === bucket) end++;
    digests.push(digest(entries.slice(start, end)));
    start = end;
  }
  return digests;
}

/** Whether two digests are the same. */
export const isSameDigest = (left: Uint8Array, right: Uint8Array): boolean =>
  Buffer.compare(left, right) === 0;
