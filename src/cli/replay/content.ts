/** The whole content of a replica in one order, so that equal content has one digest. */
import { createHash, type Hash } from "node:crypto";
import type { Entry } from "./messages.ts";
import type { SiteCollection } from "./site.ts";

/** SHA-256 over entries: collections in their order, keys in the order of code units. */
export class ContentDigest {
  readonly #hash: Hash = createHash("sha256");

  /** Adds an entry; elements of a set must come sorted. */
  add(collection: SiteCollection, [key, value]: Entry): void {
    // JSON of an array of strings and numbers has one form, and no raw line end.
    this.#hash.update(`${JSON.stringify([collection, key, value])}\n`);
  }

  /** The digest in hexadecimal. Call it once, at the end. */
  hex(): string {
    return this.#hash.digest("hex");
  }
}
