/** Answers the questions of one observer, in slices, so that the replica goes on with its work. */
import type { Environment } from "../environment.ts";
import { KeyspaceWitness } from "../store/compare/keyspace-witness.ts";
import { Pace } from "../store/compare/pace.ts";
import type { CollectionSize } from "../store/compare/witness.ts";
import type { Keyspace } from "../store/keyspace.ts";
import { provenanceOf, type ProvenancePlace } from "../store/provenance.ts";
import type { Acquaintances } from "./acquaintances.ts";
import type { DigestedVector, Entry } from "./digest.ts";
import { type Answer, entriesPerMessageMax } from "./message.ts";
import type { Question, Reply } from "./question.ts";

/** Bytes of collections in one answer, unless it is one collection. */
const collectionsBytesMax = 48 * 1024;

/** What answers are made of. */
export interface AttendantOptions {
  readonly keyspace: Keyspace;
  readonly environment: Environment;
  readonly vector: () => DigestedVector;
  /** Who else has seen what. */
  readonly acquaintances: Acquaintances;
}

/** Answers for one replica, one question at a time. */
export class Attendant {
  readonly #options: AttendantOptions;
  readonly #witness: KeyspaceWitness;
  readonly #vector: () => DigestedVector;
  readonly #pace: Pace;

  constructor(options: AttendantOptions) {
    const { keyspace, environment, vector } = options;
    this.#options = options;
    this.#witness = new KeyspaceWitness({ keyspace, environment, isStill: false });
    this.#vector = vector;
    this.#pace = new Pace(environment);
  }

  /** @throws ClosedError when it was stopped meanwhile. */
  async answer(question: Question): Promise<Answer> {
    const reply = await this.#reply(question);
    return { kind: "answer", digest: this.#vector().digest, reply };
  }

  /** Nobody waits for an answer any more. */
  stop(): void {
    this.#pace.stop();
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
      case "provenance":
        return await this.#provenance(question);
    }
  }

  async #provenance(place: ProvenancePlace): Promise<Reply> {
    const { keyspace, acquaintances } = this.#options;
    keyspace.flush();
    const found = await provenanceOf(keyspace, place, this.#pace);
    const actors = new Set((found?.cells ?? []).map(({ actor }) => actor));
    return { about: "provenance", found, ...acquaintances.of(actors) };
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
