/**
 * The writes of a soak: as many as a process can make, over a fixed population of keys, elements and
 * values, so that the state itself does not grow and whatever grows is a queue.
 */
import { createHash } from "node:crypto";
import { counter, type Collections, lwwRegister, orSet } from "../../src/index.ts";
import { parseVersionToken } from "../../src/store/version-token.ts";
import { Random } from "../simulation/virtual-environment.ts";

/** `beats` are what latency is measured by. */
export const schema = {
  likes: counter(),
  profiles: lwwRegister<string>(),
  tags: orSet(),
  beats: lwwRegister<number>(),
};

export type LoadCollections = Collections<typeof schema>;

/** Operations between two turns of the event loop. */
export const turnOperations = 1_000;
const likes = 10_000;
const profiles = 2_000;
const sets = 100;
const elements = 50;

/** Writes turn by turn. */
export class Load {
  readonly #collections: LoadCollections;
  readonly #random: Random;
  readonly #likes = names("post", likes);
  readonly #profiles = names("user", profiles);
  readonly #sets = names("set", sets);
  readonly #elements = names("tag", elements);
  readonly #values = names("a value of some length, no", 64);
  /** Operations so far. */
  operations = 0;

  constructor(collections: LoadCollections, seed = 1) {
    this.#collections = collections;
    this.#random = new Random(seed);
  }

  /** Writes every key and element once: from here on there is nothing new. */
  fill(): void {
    for (const key of this.#likes) this.#collections.likes.increment(key);
    for (const key of this.#profiles) this.#collections.profiles.set(key, "first");
    for (const key of this.#sets) {
      for (const element of this.#elements) this.#collections.tags.add(key, element);
    }
  }

  /** One turn: 60 % increments, 30 % registers, the rest adds, and removals of what will come back. */
  turn(): void {
    const random = this.#random;
    for (let i = 0; i < turnOperations; i++) {
      const kind = random.below(20);
      if (kind < 12) this.#collections.likes.increment(random.pick(this.#likes));
      else if (kind < 18) {
        this.#collections.profiles.set(random.pick(this.#profiles), random.pick(this.#values));
      } else if (kind === 18) {
        this.#collections.tags.add(random.pick(this.#sets), random.pick(this.#elements));
      } else {
        this.#collections.tags.remove(random.pick(this.#sets), random.pick(this.#elements));
      }
    }
    this.operations += turnOperations;
  }
}

/** What a replica shows, as one digest. */
export function contentDigest({ likes: counts, profiles: texts, tags }: LoadCollections): string {
  const hash = createHash("sha256");
  for (const key of counts.keys().toSorted()) hash.update(`${key} ${counts.value(key)}\n`);
  for (const key of texts.keys().toSorted()) hash.update(`${key} ${texts.get(key) ?? ""}\n`);
  for (const key of tags.keys().toSorted()) {
    hash.update(`${key} ${tags.values(key).toSorted().join(" ")}\n`);
  }
  return hash.digest("hex").slice(0, 16);
}

/** A version in a form that is equal on replicas that hold the same: tokens have no fixed order. */
export const sortedVersion = (token: string): string =>
  [...parseVersionToken(token)]
    .map(([actor, sequence]) => `${actor}:${sequence}`)
    .toSorted()
    .join(" ");

const names = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `${prefix} ${i}`);
