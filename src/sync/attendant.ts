/** Answers the questions of one observer, in slices, so that the replica goes on with its work. */
import type { KeyspaceWitness } from "../store/compare/keyspace-witness.ts";
import type { CollectionSize } from "../store/compare/witness.ts";
import type { DigestedVector, Entry } from "./digest.ts";
import { type Answer, entriesPerMessageMax } from "./message.ts";
import type { Question, Reply } from "./question.ts";

/** Bytes of collections in one answer, unless it is one collection. */
const collectionsBytesMax = 48 * 1024;

/** Answers for one replica, one question at a time. */
export class Attendant {
  readonly #witness: KeyspaceWitness;
  readonly #vector: () => DigestedVector;

  constructor(witness: KeyspaceWitness, vector: () => DigestedVector) {
    this.#witness = witness;
    this.#vector = vector;
  }

  /** @throws ClosedError when it was stopped meanwhile. */
  async answer(question: Question): Promise<Answer> {
    const reply = await this.#reply(question);
    return { kind: "answer", digest: this.#vector().digest, reply };
  }

  /** Nobody waits for an answer any more. */
  stop(): void {
    void this.#witness.close();
  }

  async #reply(question: Question): Promise<Reply> {
    const witness = this.#witness;
    switch (question.about) {
      case "collections":
        return await this.#collections(question.after);
      case "vector":
        return entriesAfter(this.#vector().entries, question.after);
      case "split": {
        const { collection, range, parts } = question;
        return { about: "split", parts: await witness.split(collection, range, parts) };
      }
      case "digests": {
        const { collection, range, bounds } = question;
        return { about: "digests", digests: await witness.digests(collection, range, bounds) };
      }
    }
  }

  async #collections(after: string | undefined): Promise<Reply> {
    const sizes = after === undefined ? await this.#witness.begin() : this.#witness.sizes();
    const left = sizes.filter(({ name }) => after === undefined || name > after);
    const page: CollectionSize[] = [];
    let bytes = 0;
    for (const size of left) {
      bytes += Buffer.byteLength(size.name) + Buffer.byteLength(size.tag);
      if (page.length > 0 && bytes > collectionsBytesMax) break;
      page.push(size);
    }
    return { about: "collections", more: page.length < left.length, collections: page };
  }
}

function entriesAfter(entries: readonly Entry[], after: string | undefined): Reply {
  const left = after === undefined ? entries : entries.filter(({ actor }) => actor > after);
  return {
    about: "vector",
    more: left.length > entriesPerMessageMax,
    entries: left.slice(0, entriesPerMessageMax),
  };
}
