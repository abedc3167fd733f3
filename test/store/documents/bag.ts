/** A library of documents that is simple enough to be sure of: a bag of words. An update is a list of them, as JSON. */
import {
  type DocumentEngine,
  type DocumentListener,
  documentShape,
  type DocumentType,
  type OpenDocument,
  type Origin,
} from "../../../src/crdt/document.ts";

export type Words = Set<string>;
export interface Bag {
  /** Puts words into the bag; the same twice is harmless. */
  add(words: readonly string[]): void;
}

export const encoded = (words: Iterable<string>): Uint8Array =>
  Buffer.from(JSON.stringify([...words]));

export function decoded(update: Uint8Array): string[] {
  const words: unknown = JSON.parse(Buffer.from(update).toString());
  if (!Array.isArray(words)) throw new Error("no bag");
  return words.map(String);
}

/** A word that is `bytes` long. */
export const longWord = (name: string, bytes: number): string => `${name}:`.padEnd(bytes, "x");

export const bagEngine: DocumentEngine<Words, Bag> = {
  open: (listener) => new OpenBag(listener),
  isUpdate: (bytes) => {
    try {
      decoded(bytes);
      return true;
    } catch {
      return false;
    }
  },
  fits: () => true,
  merge: (updates) => encoded(new Set(updates.flatMap((update) => decoded(update)))),
  json: (words) => [...words].toSorted(),
};

export const bagDoc = (): DocumentType<Words, Bag> => ({
  kind: "document",
  tag: "bag/1",
  shape: documentShape,
  engine: bagEngine,
});

class OpenBag implements OpenDocument<Words, Bag> {
  readonly native: Words = new Set();
  readonly isObserved = false;
  readonly #listener: DocumentListener;
  #isClosed = false;

  constructor(listener: DocumentListener) {
    this.#listener = listener;
  }

  get version(): string {
    return JSON.stringify([...this.native].toSorted());
  }

  change<R>(change: (content: Bag) => R, origin: Origin): R {
    return change({ add: (words) => this.#add(words, origin) });
  }

  advance<R>(step: (native: Words) => readonly [native: Words, result: R], origin: Origin): R {
    const [next, result] = step(this.native);
    this.#add([...next], origin);
    return result;
  }

  /** A word that begins with a bang cannot be taken in. */
  apply(updates: readonly Uint8Array[], origin: Origin): void {
    const words = updates.flatMap((update) => decoded(update));
    if (words.some((word) => word.startsWith("!"))) throw new Error("a bang");
    this.#add(words, origin);
  }

  snapshot(): Uint8Array {
    return encoded(this.native);
  }

  close(): void {
    this.#isClosed = true;
  }

  #add(words: readonly string[], origin: Origin): void {
    const fresh = words.filter((word) => !this.native.has(word));
    for (const word of fresh) this.native.add(word);
    if (fresh.length > 0 && !this.#isClosed) this.#listener.changed(encoded(fresh), origin);
  }
}
