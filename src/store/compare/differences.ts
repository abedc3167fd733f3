/**
 * Where do two replicas differ, for the price of what differs?
 *
 * One of them divides a range into parts of as many keys each, both tell a digest of each part, and only
 * parts that differ are looked into, down to a few keys that are listed with a digest each. So a few
 * differences among many keys cost a few digests a level, and there are log(keys) levels.
 */
import type { KeyRange, Part, Witness } from "./witness.ts";
import { partsMax } from "./witness.ts";
import type { RangeDigest } from "./key-digest.ts";

/** Ranges of so many keys are listed. */
export const listedKeysMax = 16;
/** Parts of a range that is not huge: a difference costs the digests of its level's other parts. */
const partsFew = 16;
const keysHuge = 16 * 1024;
/** Levels, more than any number of keys needs: a witness may be wrong, or lie. */
const levelsMax = 16;

/** The two replicas, and what is known of each. */
export type Pair<T> = readonly [a: T, b: T];

/** A key that differs, and who has it. */
export interface DifferingKey {
  readonly key: string;
  readonly at: "a" | "b" | "both";
}

/** A range that differs. */
export interface Difference extends KeyRange {
  readonly keys: Pair<number>;
  /** The keys in it that differ; undefined when enough of them are known already. */
  readonly listed: readonly DifferingKey[] | undefined;
}

/** A range that may differ. */
export interface Span extends KeyRange {
  readonly keys: Pair<number>;
}

interface OpenSpan extends Span {
  readonly level: number;
}

/**
 * What differs in some ranges of a collection, in order. Once `keysMax` keys are listed, the ranges that
 * are left are not looked into.
 */
export async function differencesIn(
  witnesses: Pair<Witness>,
  collection: string,
  spans: readonly Span[],
  keysMax: number,
): Promise<Difference[]> {
  const search = new Search(witnesses, collection);
  const open: OpenSpan[] = spans.map((span) => ({ ...span, level: 0 })).reverse();
  const found: Difference[] = [];
  let listed = 0;
  for (let span = open.pop(); span; span = open.pop()) {
    const most = Math.max(...span.keys);
    if (listed >= keysMax || span.level === levelsMax) {
      addUnlisted(found, span);
      continue;
    }
    const keys = most <= listedKeysMax ? await search.list(span) : undefined;
    if (keys === undefined) open.push(...(await search.partsThatDiffer(span)).reverse());
    else if (keys.length > 0) {
      found.push({ after: span.after, to: span.to, keys: span.keys, listed: keys });
      listed += keys.length;
    }
  }
  return found;
}

/** Neighbours that are not looked into are one. */
function addUnlisted(found: Difference[], { after, to, keys }: Span): void {
  const before = found.at(-1);
  if (before && before.listed === undefined && before.to === after && after !== undefined) {
    const both: Pair<number> = [before.keys[0] + keys[0], before.keys[1] + keys[1]];
    found[found.length - 1] = { after: before.after, to, keys: both, listed: undefined };
  } else {
    found.push({ after, to, keys, listed: undefined });
  }
}

class Search {
  readonly #witnesses: Pair<Witness>;
  readonly #collection: string;

  constructor(witnesses: Pair<Witness>, collection: string) {
    this.#witnesses = witnesses;
    this.#collection = collection;
  }

  /** The keys of a small range that differ; undefined if there turned out to be too many. */
  async list(span: Span): Promise<DifferingKey[] | undefined> {
    const [ours, theirs] = await Promise.all(
      this.#witnesses.map((witness) => witness.split(this.#collection, span, partsMax)),
    );
    if (ours === undefined || theirs === undefined) throw new Error("assertion: two witnesses");
    if ([...ours, ...theirs].some(({ keys }) => keys > 1)) return undefined;
    const left = new Map(ours.filter(isThere).map((part) => [part.last, part]));
    const right = new Map(theirs.filter(isThere).map((part) => [part.last, part]));
    const keys = [...new Set([...left.keys(), ...right.keys()])].sort(byCodeUnits);
    return keys.flatMap((key): DifferingKey[] => {
      const [a, b] = [left.get(key), right.get(key)];
      if (a && b) return isSame(a, b) ? [] : [{ key, at: "both" }];
      return [{ key, at: a ? "a" : "b" }];
    });
  }

  /** Who has more keys says where the parts end. */
  async partsThatDiffer(span: OpenSpan): Promise<OpenSpan[]> {
    const [a, b] = this.#witnesses;
    const isAsked = span.keys[0] >= span.keys[1];
    const [one, other] = isAsked ? [a, b] : [b, a];
    const count = Math.max(...span.keys) > keysHuge ? partsMax : partsFew;
    const split = await one.split(this.#collection, span, count);
    const parts: readonly Part[] = split.length > 0 ? split : [{ ...nothing, last: "" }];
    const bounds = parts.slice(0, -1).map(({ last }) => last);
    const digests = await other.digests(this.#collection, span, bounds);
    return parts.flatMap((part, i): OpenSpan[] => {
      const its = digests[i] ?? nothing;
      if (isSame(part, its)) return [];
      return [
        {
          after: i === 0 ? span.after : bounds[i - 1],
          to: i === parts.length - 1 ? span.to : bounds[i],
          keys: isAsked ? [part.keys, its.keys] : [its.keys, part.keys],
          level: span.level + 1,
        },
      ];
    });
  }
}

const nothing: RangeDigest = { keys: 0, digest: new Uint8Array(0) };

const isThere = ({ keys }: RangeDigest): boolean => keys > 0;

const isSame = (one: RangeDigest, other: RangeDigest): boolean =>
  one.keys === other.keys && (one.keys === 0 || Buffer.compare(one.digest, other.digest) === 0);

const byCodeUnits = (left: string, right: string): number => (left < right ? -1 : 1);
