/**
 * Do the replicas hold what the log says? Equality among them would not do: all may agree on the
 * same wrong value. So counters and sets are compared with the plain tally. A register has several
 * right values, since its writers did not wait for each other: it must hold a referrer that the log
 * has for that path, and the same one on every replica.
 */
import { ContentDigest } from "./content.ts";
import type { Entry } from "./messages.ts";
import { type SiteCollection, siteCollections } from "./site.ts";
import { lastReferrers, type Tally } from "./tally.ts";

/** One thing that is not as it should be. */
export interface Difference {
  readonly replica: string;
  readonly collection: SiteCollection;
  readonly key: string;
  readonly expected: string;
  readonly found: string;
}

/** Differences that are kept; the rest is counted. */
export const differencesMax = 10;

/** What was compared and what came of it. */
export interface Verdict {
  readonly agrees: boolean;
  readonly differences: readonly Difference[];
  readonly differencesCount: number;
  /** Keys, elements and sums that every replica was held to. */
  readonly checked: {
    readonly counters: number;
    readonly hits: number;
    readonly sets: number;
    readonly visitors: number;
    readonly registers: number;
  };
  /** Registers that hold the referrer which is last in the log, on the first replica. */
  readonly registersLastInLog: number;
}

type Found = Omit<Difference, "replica" | "collection" | "key">;

/** Compares replicas with a tally and with each other, one after the other. */
export class Agreement {
  readonly #tally: Tally;
  readonly #last: ReadonlyMap<string, string>;
  readonly #registers = new Map<string, string>();
  readonly #differences: Difference[] = [];
  #differencesCount = 0;
  #lastInLog = 0;
  #replicas = 0;

  constructor(tally: Tally) {
    this.#tally = tally;
    this.#last = lastReferrers(tally);
  }

  /**
   * Compares one replica.
   * @param entries its content, by collection, keys in the order of code units.
   * @returns the digest of the content.
   */
  async compare(
    replica: string,
    entries: (collection: SiteCollection) => AsyncIterable<Entry>,
  ): Promise<string> {
    const digest = new ContentDigest();
    for (const collection of siteCollections) {
      const seen = new Set<string>();
      for await (const entry of entries(collection)) {
        const [key] = entry;
        digest.add(collection, entry);
        const found = seen.has(key)
          ? { expected: "the key once", found: "the key again" }
          : this.#check(collection, entry);
        seen.add(key);
        if (found !== undefined) this.#report({ replica, collection, key, ...found });
      }
      for (const key of this.#tally[collection].keys()) {
        if (seen.has(key)) continue;
        this.#report({ replica, collection, key, expected: "the key", found: "no such key" });
      }
    }
    this.#replicas++;
    return digest.hex();
  }

  /** What came of all comparisons. */
  verdict(): Verdict {
    const { hits, visitors, referrers, requests } = this.#tally;
    return {
      agrees: this.#differencesCount === 0 && this.#replicas > 0,
      differences: this.#differences,
      differencesCount: this.#differencesCount,
      checked: {
        counters: hits.size,
        hits: requests,
        sets: visitors.size,
        visitors: [...visitors.values()].reduce((sum, set) => sum + set.size, 0),
        registers: referrers.size,
      },
      registersLastInLog: this.#lastInLog,
    };
  }

  #check(collection: SiteCollection, [key, value]: Entry): Found | undefined {
    switch (collection) {
      case "hits": {
        const expected = this.#tally.hits.get(key);
        return value === expected ? undefined : found(expected ?? "no such key", value);
      }
      case "visitors": {
        const expected = this.#tally.visitors.get(key);
        return expected === undefined
          ? found("no such key", value)
          : differenceOfSets(expected, Array.isArray(value) ? value : []);
      }
      case "referrers":
        return this.#checkRegister(key, value);
    }
  }

  #checkRegister(key: string, value: Entry[1]): Found | undefined {
    const possible = this.#tally.referrers.get(key);
    if (typeof value !== "string" || possible?.has(value) !== true) {
      return found(possible === undefined ? "no such key" : "a referrer of this path", value);
    }
    const first = this.#registers.get(key);
    if (first === undefined) {
      this.#registers.set(key, value);
      if (this.#last.get(key) === value) this.#lastInLog++;
    }
    return first === undefined || first === value ? undefined : found(first, value);
  }

  #report(difference: Difference): void {
    this.#differencesCount++;
    if (this.#differences.length < differencesMax) this.#differences.push(difference);
  }
}

const found = (expected: unknown, value: unknown): Found => ({
  expected: String(expected),
  found: typeof value === "number" ? String(value) : shorten(JSON.stringify(value)),
});

function differenceOfSets(
  expected: ReadonlySet<string>,
  values: readonly string[],
): Found | undefined {
  const held = new Set(values);
  const missing = [...expected].filter((element) => !held.has(element));
  const extra = values.filter((element) => !expected.has(element));
  const isWhole = missing.length === 0 && extra.length === 0 && values.length === expected.size;
  if (isWhole) return undefined;
  return {
    expected: `${expected.size} elements`,
    found: shorten(
      `${values.length}; missing ${JSON.stringify(missing)}, not of the log ${JSON.stringify(extra)}`,
    ),
  };
}

const shorten = (text: string): string => (text.length > 120 ? `${text.slice(0, 120)}…` : text);
