/**
 * Readers that know a collection only from what `watch` tells: in the end their copy must be what the
 * collection shows, and whatever they see on the way must be whole.
 */
import { isDeepStrictEqual } from "node:util";
import { parseVersionToken } from "../../src/store/version-token.ts";
import { byText } from "../crdt/specifications.ts";
import { covers } from "./history.ts";
import type { Life, LifeCollections } from "./life.ts";
import type { Seams } from "./seams.ts";

/** What is watched, and how a key of it is read. */
const readers = {
  counters: (collections: LifeCollections, key: string): unknown => collections.counters.value(key),
  sets: (collections: LifeCollections, key: string): unknown =>
    collections.sets.values(key).toSorted(byText),
  flags: (collections: LifeCollections, key: string): unknown => collections.flags.isEnabled(key),
  here: (collections: LifeCollections, key: string): unknown =>
    collections.here.values(key).toSorted(byText),
};

type Watched = keyof typeof readers;
const names = Object.keys(readers) as Watched[];

/** What each reader knows. */
type Copies = Record<Watched, Map<string, unknown>>;

/** Answers of one process to what it sees. */
const answersMax = 20;

/** What readers need. */
export interface MirrorsOptions {
  /** A process that is eager writes when something changes. */
  readonly answer: (life: Life) => void;
  readonly fail: (error: unknown) => void;
  readonly seams: Seams;
}

/** The readers of one run. */
export class Mirrors {
  readonly #options: MirrorsOptions;
  readonly #copies = new Map<Life, Copies>();

  constructor(options: MirrorsOptions) {
    this.#options = options;
  }

  /** Readers of one process, until it ends. */
  watch(life: Life): void {
    if (life.collections === undefined) return;
    const copies: Copies = {
      counters: new Map(),
      sets: new Map(),
      flags: new Map(),
      here: new Map(),
    };
    this.#copies.set(life, copies);
    // What was on the disk is read once, as a reader does who comes late.
    for (const name of names) {
      for (const key of life.collections[name].keys()) {
        copies[name].set(key, readers[name](life.collections, key));
      }
    }
    for (const name of names) this.#follow(life, name, copies[name]).catch(this.#options.fail);
  }

  /** What was told is what there is. */
  check(life: Life): void {
    const { collections } = life;
    const copies = this.#copies.get(life);
    if (collections === undefined || copies === undefined) return;
    for (const name of names) {
      for (const key of new Set([...copies[name].keys(), ...collections[name].keys()])) {
        const shown = readers[name](collections, key);
        const told = copies[name].get(key);
        if (isDeepStrictEqual(shown, told)) continue;
        const texts = `${JSON.stringify(told)}, it is ${JSON.stringify(shown)}`;
        throw new Error(`${life.name}: who watches ${name}/${key} knows ${texts}`);
      }
    }
  }

  async #follow(life: Life, name: Watched, copy: Map<string, unknown>): Promise<void> {
    const { collections, replica, host } = life;
    if (collections === undefined) return;
    let answers = host.isEager && name === "sets" ? answersMax : 0;
    const changes = replica.watch(name);
    const told = this.#options.seams.told?.(changes) ?? changes;
    for await (const { key, origin, version } of told) {
      // The last changes may be read after the process has ended.
      if (!life.isRunning) continue;
      life.checkWhole();
      const vector = parseVersionToken(version);
      if (!covers(life.vector, vector)) throw new Error(`${life.name} tells of what it has not`);
      copy.set(key, readers[name](collections, key));
      if (origin === "local" || answers === 0) continue;
      answers--;
      this.#options.answer(life);
    }
  }
}
