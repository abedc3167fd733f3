/**
 * Do two replicas hold the same? One that is in use changes while it is asked, so what differs may only
 * be on its way. What differed is asked about again, until it is the same, or neither replica moves any
 * more, or it is time to stop. What comes to differ meanwhile is not looked for: it is on its way, too.
 *
 * Replicas with different vectors have not seen the same writes; one that has seen more is ahead. With
 * the same vector they must hold the same: if not, they have diverged, which must never happen.
 */
import type { ActorId } from "../../crdt/dot.ts";
import type { Environment } from "../../environment.ts";
import { compareNames } from "./canonical-order.ts";
import { type Difference, differencesIn, type Pair, type Span } from "./differences.ts";
import type { NamedVector } from "../version-token.ts";
import type { CollectionSize, Witness } from "./witness.ts";

/**
 * `behind`: the replicas have not seen the same writes. `diverged`: they have, and differ. `moving`: they
 * changed for as long as there was time.
 */
export type Verdict = "same" | "behind" | "diverged" | "moving";

/** One collection of the two replicas. */
export interface ComparedCollection {
  readonly name: string;
  /** Undefined where the collection is not known. */
  readonly tags: Pair<string | undefined>;
  readonly keys: Pair<number>;
  /** Where keys differ; of collections of two types none are looked for. */
  readonly differences: readonly Difference[];
}

/** An actor of whose batches one replica lacks some. */
export interface Lag {
  readonly actor: ActorId;
  /** How many batches of it each replica has. */
  readonly batches: Pair<number>;
}

/** What two replicas were found to be. */
export interface Verification {
  readonly verdict: Verdict;
  /** By name. */
  readonly collections: readonly ComparedCollection[];
  /** By name. */
  readonly lags: readonly Lag[];
}

/** How replicas are compared. */
export interface VerifyOptions {
  readonly environment: Environment;
  /** Keys that are found for each collection, before the rest is told as ranges. */
  readonly keysMax: number;
  /** After so long nothing is asked about again, in ms. */
  readonly timeoutMs: number;
}

const pauseMsMin = 100;
const pauseMsMax = 1_000;

/** What was found by going through everything, or what was left of it, once. */
interface Look {
  readonly collections: readonly ComparedCollection[];
  readonly before: Pair<NamedVector>;
  readonly after: Pair<NamedVector>;
}

/** Compares two replicas. @throws whatever the witnesses throw. */
export async function verify(
  witnesses: Pair<Witness>,
  options: VerifyOptions,
): Promise<Verification> {
  const { environment, keysMax, timeoutMs } = options;
  const deadlineMs = environment.monotonic() + timeoutMs;
  let look = await lookAt(witnesses, undefined, keysMax);
  if (witnesses.every((witness) => witness.isStill)) return found(look);
  for (let pauseMs = pauseMsMin; isDifferent(look); pauseMs *= 2) {
    const leftMs = deadlineMs - environment.monotonic();
    if (leftMs <= 0) break;
    const waitMs = Math.min(pauseMs, pauseMsMax, leftMs);
    await new Promise<void>((resolve) => {
      environment.schedule(waitMs, resolve);
    });
    const next = await lookAt(witnesses, look, keysMax);
    const isAtRest = isStill(look) && isStill(next) && isSamePair(look.after, next.before);
    look = next;
    if (isAtRest) break;
  }
  return found(look);
}

const found = (look: Look): Verification => ({
  verdict: verdictOf(look),
  collections: look.collections,
  lags: lagsOf(look.after),
});

function verdictOf(look: Look): Verdict {
  if (!isDifferent(look)) return "same";
  if (!isStill(look)) return "moving";
  return isSameVector(look.after[0], look.after[1]) ? "diverged" : "behind";
}

async function lookAt(
  witnesses: Pair<Witness>,
  earlier: Look | undefined,
  keysMax: number,
): Promise<Look> {
  const [a, b] = witnesses;
  const sizes = await Promise.all([a.begin(), b.begin()]);
  const before = await Promise.all([a.vector(), b.vector()]);
  const known = new Map(earlier?.collections.map((collection) => [collection.name, collection]));
  const collections: ComparedCollection[] = [];
  for (const collection of together(sizes)) {
    const { name, tags, keys } = collection;
    const isEmpty = keys[0] + keys[1] === 0;
    const first = isEmpty ? [] : [whole(keys)];
    const spans = earlier === undefined ? first : (known.get(name)?.differences ?? []);
    const differences = isOfTwoTypes(tags)
      ? []
      : await differencesIn(witnesses, name, spans, keysMax);
    collections.push({ ...collection, differences });
  }
  return { collections, before, after: await Promise.all([a.vector(), b.vector()]) };
}

const whole = (keys: Pair<number>): Span => ({ after: undefined, to: undefined, keys });

/** What both say of each collection that either knows, in the order of names. */
function together(
  sizes: Pair<readonly CollectionSize[]>,
): Omit<ComparedCollection, "differences">[] {
  const [ours, theirs] = sizes.map((side) => new Map(side.map((size) => [size.name, size])));
  const names = new Set(sizes.flat().map(({ name }) => name));
  return [...names].sort(compareNames).map((name) => {
    const [a, b] = [ours?.get(name), theirs?.get(name)];
    return { name, tags: [a?.tag, b?.tag], keys: [a?.keys ?? 0, b?.keys ?? 0] };
  });
}

/** Whether one name has two meanings. */
export const isOfTwoTypes = ([a, b]: Pair<string | undefined>): boolean =>
  a !== undefined && b !== undefined && a !== b;

const isDifferent = ({ collections }: Look): boolean =>
  collections.some(({ differences, tags }) => differences.length > 0 || isOfTwoTypes(tags));

const isStill = ({ before, after }: Look): boolean => isSamePair(before, after);

const isSamePair = (left: Pair<NamedVector>, right: Pair<NamedVector>): boolean =>
  isSameVector(left[0], right[0]) && isSameVector(left[1], right[1]);

function isSameVector(left: NamedVector, right: NamedVector): boolean {
  if (left === right) return true;
  if (left.size !== right.size) return false;
  for (const [actor, sequence] of left) if (right.get(actor) !== sequence) return false;
  return true;
}

function lagsOf([a, b]: Pair<NamedVector>): Lag[] {
  const actors = [...new Set([...a.keys(), ...b.keys()])].sort(compareNames);
  return actors.flatMap((actor): Lag[] => {
    const batches: Pair<number> = [a.get(actor) ?? 0, b.get(actor) ?? 0];
    return batches[0] === batches[1] ? [] : [{ actor, batches }];
  });
}
