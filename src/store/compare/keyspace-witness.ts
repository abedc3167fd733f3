/**
 * Answers for a keyspace. The keys of the collection that is asked about are sorted once a look, in
 * slices, and kept: eight bytes a key. What is under them is digested when it is asked for.
 */
import type { ActorId } from "../../crdt/dot.ts";
import type { Environment } from "../../environment.ts";
import { compareNames, inCanonicalOrder } from "./canonical-order.ts";
import { KeyDigester, type RangeDigest } from "./key-digest.ts";
import type { Keyspace } from "../keyspace.ts";
import type { Root } from "../nodes.ts";
import { Pace } from "./pace.ts";
import type { NamedVector } from "../version-token.ts";
import type { CollectionSize, KeyRange, Part, Witness } from "./witness.ts";

/** What is known of the replica besides. */
export interface KeyspaceWitnessOptions {
  readonly keyspace: Keyspace;
  readonly environment: Environment;
  /** Whether nobody writes to it, or joins anything. */
  readonly isStill: boolean;
}

interface Look {
  readonly collection: string;
  /** Those under which something was live, in order. */
  readonly keys: readonly string[];
}

/** Answers for one keyspace. */
export class KeyspaceWitness implements Witness {
  readonly isStill: boolean;
  readonly #keyspace: Keyspace;
  readonly #pace: Pace;
  readonly #digester: KeyDigester;
  #changes = 0;
  #look: Look | undefined;

  constructor({ keyspace, environment, isStill }: KeyspaceWitnessOptions) {
    this.isStill = isStill;
    this.#keyspace = keyspace;
    this.#pace = new Pace(environment);
    this.#digester = new KeyDigester(keyspace, this.#pace);
  }

  begin(): Promise<readonly CollectionSize[]> {
    this.#keyspace.flush();
    const { actors } = this.#keyspace;
    if (this.#changes !== actors.changes) this.#look = undefined;
    this.#changes = actors.changes;
    return Promise.resolve(this.sizes());
  }

  /** The collections as they are now, without a new look. */
  sizes(): CollectionSize[] {
    const sizes = this.#keyspace.nodes.roots.map(({ name, tag, live }) => ({
      name,
      tag,
      keys: live,
    }));
    return sizes.sort((one, other) => compareNames(one.name, other.name));
  }

  vector(): Promise<NamedVector> {
    this.#keyspace.flush();
    const { held, actors } = this.#keyspace;
    const vector = new Map<ActorId, number>();
    for (const [actor, sequence] of held.entries()) vector.set(actors.name(actor), sequence);
    return Promise.resolve(vector);
  }

  async split(collection: string, range: KeyRange, parts: number): Promise<Part[]> {
    const root = this.#keyspace.nodes.root(collection);
    if (root === undefined) return [];
    const keys = await this.#keys(root);
    const end = firstAfter(keys, range.to, keys.length);
    const start = firstAfter(keys, range.after, 0);
    const length = Math.ceil((end - start) / parts);
    const split: Part[] = [];
    for (let from = start; from < end; from += length) {
      const to = Math.min(from + length, end);
      const digest = await this.#digester.digest(root, keys, from, to);
      split.push({ last: keys[to - 1] as string, ...digest });
    }
    return split;
  }

  async digests(
    collection: string,
    range: KeyRange,
    bounds: readonly string[],
  ): Promise<RangeDigest[]> {
    const root = this.#keyspace.nodes.root(collection);
    const keys = root === undefined ? [] : await this.#keys(root);
    const digests: RangeDigest[] = [];
    let from = firstAfter(keys, range.after, 0);
    for (const bound of [...bounds, range.to]) {
      const to = firstAfter(keys, bound, keys.length);
      digests.push(await this.#digester.digest(root, keys, from, to));
      from = to;
    }
    return digests;
  }

  close(): Promise<void> {
    this.#pace.stop();
    this.#look = undefined;
    return Promise.resolve();
  }

  async #keys(root: Root): Promise<readonly string[]> {
    if (this.#look?.collection === root.name) return this.#look.keys;
    const keys: string[] = [];
    // Those that come meanwhile are for the next look, or there would be no end.
    let left = root.keys.size;
    for (const [key, node] of root.keys) {
      if (left-- === 0) break;
      if (this.#keyspace.isLive(node)) keys.push(String(key));
      if (this.#pace.spend(0.1)) await this.#pace.rest();
    }
    const look = { collection: root.name, keys: await inCanonicalOrder(keys, this.#pace) };
    this.#look = look;
    return look.keys;
  }
}

/** The place of the first key above `bound`, or `otherwise` if there is no bound. O(log keys). */
function firstAfter(keys: readonly string[], bound: string | undefined, otherwise: number): number {
  if (bound === undefined) return otherwise;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) <= bound) low = middle + 1;
    else high = middle;
  }
  return low;
}
