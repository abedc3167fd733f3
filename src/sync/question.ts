/**
 * What one who only observes asks a replica, and what it is answered: about ranges of keys, in counts
 * and digests (`store/compare/witness.ts`).
 */
import type { ActorId } from "../crdt/dot.ts";
import type { RangeDigest } from "../store/compare/key-digest.ts";
import type { CollectionSize, KeyRange, Part } from "../store/compare/witness.ts";
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
    };

/** The answer to a question about the same. */
export type Reply =
  | {
      readonly about: "collections";
      readonly more: boolean;
      readonly collections: readonly CollectionSize[];
    }
  | { readonly about: "vector"; readonly more: boolean; readonly entries: readonly Entry[] }
  | { readonly about: "split"; readonly parts: readonly Part[] }
  | { readonly about: "digests"; readonly digests: readonly RangeDigest[] };
