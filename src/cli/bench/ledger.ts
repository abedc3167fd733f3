/**
 * The books, kept outside of what is measured: from what callers were told, and what the nodes show at the end, it
 * follows which rules were broken. A strategy is not asked whether it is right.
 *
 * What was answered by an error may have happened or not, so it is never counted against a strategy.
 */
import type { Staleness, Violations } from "./results.ts";
import { samplesMax, type Seen, type TallyFigures, type Written } from "./tally.ts";
import type { Workload } from "./workload.ts";

/** What all callers of one load saw. */
export interface Book {
  readonly keys: number;
  /** Units that each key was given before. */
  readonly filled: number;
  readonly tallies: readonly TallyFigures[];
}

/** Nothing is wrong. */
export const noViolations: Violations = {
  total: 0,
  oversold: 0,
  doubled: 0,
  lost: 0,
  conjured: 0,
  divergent: 0,
};

/** Of several loads together. */
export function sumOfViolations(all: readonly Violations[]): Violations {
  const sum = (of: keyof Violations): number => all.reduce((total, each) => total + each[of], 0);
  return {
    total: sum("total"),
    oversold: sum("oversold"),
    doubled: sum("doubled"),
    lost: sum("lost"),
    conjured: sum("conjured"),
    divergent: sum("divergent"),
  };
}

/** Units by key that were acknowledged, over what there was at the beginning; and those of which nobody knows. */
export function balance({ keys, filled, tallies }: Book): {
  readonly expected: Float64Array;
  readonly unknown: Float64Array;
} {
  const expected = new Float64Array(keys).fill(filled);
  const unknown = new Float64Array(keys);
  for (const tally of tallies) {
    for (let key = 0; key < keys; key++) {
      expected[key] = (expected[key] ?? 0) + (tally.changes[key] ?? 0);
      unknown[key] = (unknown[key] ?? 0) + (tally.unknown[key] ?? 0);
    }
  }
  return { expected, unknown };
}

/** Whether a node shows what the books say. */
export function agrees(book: Book, shown: readonly number[]): boolean {
  const { expected, unknown } = balance(book);
  return shown.every((units, key) => {
    return Math.abs(units - (expected[key] ?? 0)) <= (unknown[key] ?? 0);
  });
}

/** Which rules the load broke. `shown`: the units of each key on each node, once they had time to settle. */
export function violationsOf(
  book: Book,
  shown: readonly (readonly number[])[],
  { hasUnits, isPairwise }: Pick<Workload, "hasUnits" | "isPairwise">,
): Violations {
  const { expected, unknown } = balance(book);
  let [oversold, lost, conjured, divergent] = [0, 0, 0, 0];
  const [first] = shown;
  for (let key = 0; key < book.keys; key++) {
    const [due = 0, maybe = 0] = [expected[key], unknown[key]];
    // Below zero without what nobody knows of: sold, and acknowledged.
    if (hasUnits && due < 0) oversold -= due;
    const units = first?.[key];
    if (units === undefined) continue;
    // What was acknowledged as added or left must be there; what was acknowledged as taken must not.
    if (units < due - maybe) lost += due - maybe - units;
    if (units > due + maybe) conjured += units - due - maybe;
    if (shown.some((node) => node[key] !== units)) divergent++;
  }
  const doubled = doubledOf(book.tallies, isPairwise === true);
  const unread = conjuredReads(book.tallies);
  return {
    total: oversold + lost + conjured + divergent + doubled + unread,
    ...{ oversold, lost, divergent, doubled },
    conjured: conjured + unread,
  };
}

/**
 * What two callers were told is theirs. For coupons the callers of a pair have the same codes, for names all
 * callers have the same keys.
 */
function doubledOf(tallies: readonly TallyFigures[], isPairwise: boolean): number {
  const owners = new Map<string, number>();
  let doubled = 0;
  for (const { won } of tallies) {
    for (const [caller, things] of won) {
      for (const thing of things) {
        const what = `${isPairwise ? caller >> 1 : 0}/${thing}`;
        const owner = owners.get(what);
        if (owner === undefined) owners.set(what, caller);
        else if (owner !== caller) doubled++;
      }
    }
  }
  return doubled;
}

/** Reads of values that nobody wrote; not judged if there were more writes than were kept. */
function conjuredReads(tallies: readonly TallyFigures[]): number {
  if (tallies.some(({ written }) => written.length >= samplesMax)) return 0;
  const known = new Set(tallies.flatMap(({ written }) => written.map(identityOf)));
  return tallies
    .flatMap(({ seen }) => seen)
    .filter(([key, value]) => value !== undefined && !known.has(identityOf([key, value]))).length;
}

const identityOf = ([key, value]: readonly [number, string | undefined, ...unknown[]]): string =>
  `${key}/${value ?? ""}`;

/** Refusals at a time when, of all units, more were certainly left than were asked for. */
export function affordableRefusals({ keys, filled, tallies }: Book): number {
  const takes = Array.from({ length: keys }, (): [number, number][] => []);
  for (const tally of tallies) {
    for (let i = 0; i < tally.takes.length; i += 3) {
      const [key = 0, startMs = 0, units = 0] = tally.takes.slice(i, i + 3);
      takes[key]?.push([startMs, units]);
    }
  }
  for (const ofKey of takes) ofKey.sort(([left], [right]) => left - right);
  const refusals = tallies.flatMap((tally) => tally.refusals);
  let affordable = 0;
  for (const [key, ofKey] of byKey(refusals)) {
    let left = filled;
    let next = 0;
    for (const [, units, endMs] of ofKey.toSorted((one, other) => one[2] - other[2])) {
      const ofThis = takes[key] ?? [];
      for (let take = ofThis[next]; take !== undefined && take[0] <= endMs; take = ofThis[++next]) {
        left -= take[1];
      }
      if (left >= units) affordable++;
    }
  }
  return affordable;
}

/**
 * How old what was read was. A value is surely old if another write of its key began after it was acknowledged, and
 * was itself acknowledged before the read began: it is as old as the first of those acknowledgements.
 */
export function stalenessOf(tallies: readonly TallyFigures[]): Staleness | undefined {
  const seen = tallies.flatMap((tally) => tally.seen);
  if (seen.length === 0) return undefined;
  const written = tallies.flatMap((tally) => tally.written);
  const endOf = new Map(written.map((each) => [identityOf(each), each[3]]));
  const histories = new Map<number, History>();
  for (const [key, writes] of byKey(written)) {
    histories.set(key, historyOf(writes));
  }
  const ages = seen
    .map((each) => ageOf(each, endOf, histories.get(each[0])))
    .toSorted((left, right) => left - right);
  const at = (part: number): number =>
    ages[Math.min(ages.length - 1, Math.floor(ages.length * part))] ?? 0;
  return {
    reads: ages.length,
    stale: ages.filter((age) => age > 0).length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

/** What is said of each key, in the order of its coming. */
function byKey<T extends readonly [key: number, ...rest: unknown[]]>(
  all: readonly T[],
): ReadonlyMap<number, readonly T[]> {
  const groups = new Map<number, T[]>();
  for (const each of all) {
    const group = groups.get(each[0]);
    if (group === undefined) groups.set(each[0], [each]);
    else group.push(each);
  }
  return groups;
}

/** Writes of one key by their beginning; and of each and all later ones, the earliest acknowledgement. */
interface History {
  readonly starts: readonly number[];
  readonly earliestEnds: readonly number[];
}

function historyOf(writes: readonly Written[]): History {
  const byStart = writes.toSorted((left, right) => left[2] - right[2]);
  const earliestEnds = byStart.map((each) => each[3]);
  for (let i = earliestEnds.length - 2; i >= 0; i--) {
    earliestEnds[i] = Math.min(earliestEnds[i] ?? 0, earliestEnds[i + 1] ?? 0);
  }
  return { starts: byStart.map((each) => each[2]), earliestEnds };
}

function ageOf(
  [key, value, startMs]: Seen,
  endOf: ReadonlyMap<string, number>,
  history: History | undefined,
): number {
  if (history === undefined) return 0;
  const acknowledgedMs =
    value === undefined ? Number.NEGATIVE_INFINITY : endOf.get(identityOf([key, value]));
  if (acknowledgedMs === undefined) return 0;
  let [low, high] = [0, history.starts.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((history.starts[middle] ?? 0) > acknowledgedMs) high = middle;
    else low = middle + 1;
  }
  return Math.max(0, startMs - (history.earliestEnds[low] ?? Number.POSITIVE_INFINITY));
}
