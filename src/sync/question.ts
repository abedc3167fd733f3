/**
 * What one who only observes asks a replica, and what it is answered: about ranges of keys, in counts
 * and digests (`store/compare/witness.ts`).
 */
import type { ActorId } from "../crdt/dot.ts";
import type { Ending } from "../crdt/ending.ts";
import type { RangeDigest } from "../store/compare/key-digest.ts";
import type { CollectionSize, KeyRange, Part } from "../store/compare/witness.ts";
import type { Provenance, ProvenancePlace } from "../store/provenance.ts";
import type { Entry } from "./digest.ts";

/** One question. */
export type Question =
  /** Which collections are there, by name above `after`? From the start it begins a new look at all keys. */
  | { readonly about: "collections"; readonly after: string | undefined }
  /** What is held of actors above `after`? */
  | { readonly about: "vector"; readonly after: ActorId | undefined }
  /** Where do so many parts of a range end, and what is in each? */
  | {
      readonly about: "split";
      readonly collection: string;
      readonly range: KeyRange;
      readonly parts: number;
    }
  /** What is in the parts of a range that end at `bounds`, and in the rest of it? */
  | {
      readonly about: "digests";
      readonly collection: string;
      readonly range: KeyRange;
      readonly bounds: readonly string[];
    }
  /** What makes up a value, from whom, and who has seen it? Of who said in its hello that it knows this one. */
  | ({ readonly about: "provenance" } & ProvenancePlace);

/** The questions that every replica answers, and those that this code does: they are numbered on the wire. */
export const questionsAtFirst = 4;
export const questionsKnown = 5;

/** The answer to a question about the same. */
export type Reply =
  | {
      readonly about: "collections";
      readonly more: boolean;
      readonly collections: readonly CollectionSize[];
    }
  | { readonly about: "vector"; readonly more: boolean; readonly entries: readonly Entry[] }
  | { readonly about: "split"; readonly parts: readonly Part[] }
  | { readonly about: "digests"; readonly digests: readonly RangeDigest[] }
  | {
      readonly about: "provenance";
      readonly found: Provenance | undefined;
      /** The actors of its cells. */
      readonly actors: readonly SeenActor[];
      /** Others that the replica knows, the linked ones first. */
      readonly members: readonly SeenBy[];
    };

/** An actor as the replica knows it. */
export interface SeenActor {
  readonly actor: ActorId;
  /** Batches of it that are held, all of them up to this one. */
  readonly held: number;
  readonly ending: Ending | undefined;
}

/** How far one member is known to be. */
export interface SeenBy {
  /** For people; empty if it is not known, as of who is away. */
  readonly name: string;
  /** The address that the replica dials, or the actor that dialed it. */
  readonly address: string;
  /** Its actor; undefined while it is away. */
  readonly actor: ActorId | undefined;
  /** When it was last heard of, by the replica's clock in ms since the Unix epoch. */
  readonly lastSeenMs: number;
  /** Of each of the actors, in their order: what it has acknowledged. */
  readonly acknowledged: readonly number[];
}

/** Members that are told. */
export const toldMembersMax = 32;
