/** Answers for a live peer: each question goes over the link, and what comes back is checked. */
import type { ActorId } from "../crdt/dot.ts";
import type { Environment } from "../environment.ts";
import { UsageError } from "../errors.ts";
import type { ProvenancePlace } from "../store/provenance.ts";
import type { RangeDigest } from "../store/compare/key-digest.ts";
import type { NamedVector } from "../store/version-token.ts";
import type { CollectionSize, KeyRange, Part, Witness } from "../store/compare/witness.ts";
import { type DigestedVector, type Entry, isSameDigest } from "./digest.ts";
import { Observer, type ObserverOptions } from "./observer.ts";
import type { Hello } from "./message.ts";
import { type Question, questionsAtFirst, questionsKnown, type Reply } from "./question.ts";
import { broken } from "./refusal.ts";

/** How long a peer may take for one answer, in ms: it goes through all of its keys for some. */
export const answerMsMax = 60_000;

/** The reply to questions about one thing. */
type ReplyAbout<A extends Question["about"]> = Extract<Reply, { readonly about: A }>;

/** Answers for one live peer. */
export class PeerWitness implements Witness {
  readonly isStill = false;
  readonly #observer: Observer;
  readonly #environment: Environment;
  /** Of the vector that the peer held when it answered last. */
  #digest: Uint8Array;
  #vector: { readonly digest: Uint8Array; readonly named: NamedVector };

  private constructor(observer: Observer, environment: Environment, held: DigestedVector) {
    this.#observer = observer;
    this.#environment = environment;
    this.#digest = held.digest;
    this.#vector = { digest: held.digest, named: named(held.entries) };
  }

  /** Dials a peer. @throws as `Observer.open` */
  static async open(options: ObserverOptions): Promise<PeerWitness> {
    const { observer, held } = await Observer.open(options);
    return new PeerWitness(observer, options.environment, held);
  }

  /** Bytes that were sent and received so far. */
  get bytes(): number {
    return this.#observer.bytes;
  }

  /** What the peer said of itself. */
  get hello(): Hello {
    return this.#observer.hello;
  }

  /**
   * What makes up a value there, from whom, and who has seen it.
   * @throws UsageError when the peer is older than this question; as `ask` of an `Observer`.
   */
  async provenance(place: ProvenancePlace): Promise<ReplyAbout<"provenance">> {
    const { name, questions = questionsAtFirst } = this.hello;
    if (questions < questionsKnown) {
      throw new UsageError(
        `${name} is of a version that cannot tell what makes up a value; close it and ask its directory, ` +
          "or ask a peer that is newer",
        { cause: new Error(`it knows ${questions} questions`) },
      );
    }
    return await this.#ask({ about: "provenance", ...place });
  }

  async begin(): Promise<readonly CollectionSize[]> {
    const sizes: CollectionSize[] = [];
    for (let more = true; more;) {
      const after = sizes.at(-1)?.name;
      const reply = await this.#ask({ about: "collections", after });
      const [first] = reply.collections;
      const isInOrder = first === undefined || after === undefined || first.name > after;
      if (!isInOrder || (reply.more && first === undefined)) throw this.#wrong("collections");
      sizes.push(...reply.collections);
      more = reply.more;
    }
    return sizes;
  }

  async vector(): Promise<NamedVector> {
    if (isSameDigest(this.#vector.digest, this.#digest)) return this.#vector.named;
    const entries: Entry[] = [];
    for (let more = true; more;) {
      const after = entries.at(-1)?.actor;
      const reply = await this.#ask({ about: "vector", after });
      const [first] = reply.entries;
      const isInOrder = first === undefined || after === undefined || first.actor > after;
      if (!isInOrder || (reply.more && first === undefined)) throw this.#wrong("a vector");
      entries.push(...reply.entries);
      more = reply.more;
    }
    this.#vector = { digest: this.#digest, named: named(entries) };
    return this.#vector.named;
  }

  async split(collection: string, range: KeyRange, parts: number): Promise<readonly Part[]> {
    const reply = await this.#ask({ about: "split", collection, range, parts });
    const { after, to } = range;
    const [first, last] = [reply.parts[0], reply.parts.at(-1)];
    const isWithin =
      reply.parts.length <= parts &&
      (first === undefined || after === undefined || first.last > after) &&
      (last === undefined || to === undefined || last.last <= to);
    if (!isWithin) throw this.#wrong("parts");
    return reply.parts;
  }

  async digests(
    collection: string,
    range: KeyRange,
    bounds: readonly string[],
  ): Promise<readonly RangeDigest[]> {
    const reply = await this.#ask({ about: "digests", collection, range, bounds });
    if (reply.digests.length !== bounds.length + 1) throw this.#wrong("digests");
    return reply.digests;
  }

  close(): Promise<void> {
    return this.#observer.close();
  }

  async #ask<A extends Question["about"]>(
    question: Extract<Question, { readonly about: A }>,
  ): Promise<ReplyAbout<A>> {
    const timer = this.#environment.schedule(answerMsMax, () => {
      const reason = `no answer for ${answerMsMax} ms`;
      this.#observer.fail({ code: "silent", reason, by: "us" });
    });
    try {
      const { digest, reply } = await this.#observer.ask(question);
      if (!isAbout(reply, question.about)) throw this.#wrong(reply.about);
      this.#digest = digest;
      return reply;
    } finally {
      timer.cancel();
    }
  }

  /** Ends the link; returns what to throw. */
  #wrong(what: string): Error {
    const end = broken(`${what} that were not asked for`);
    this.#observer.fail(end);
    return end.error ?? new Error(end.reason);
  }
}

const isAbout = <A extends Question["about"]>(reply: Reply, about: A): reply is ReplyAbout<A> =>
  reply.about === about;

const named = (entries: readonly Entry[]): NamedVector =>
  new Map<ActorId, number>(entries.map(({ actor, sequence }) => [actor, sequence]));
