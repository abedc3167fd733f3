/**
 * How do two ends find out each other's vector for the price of what differs?
 *
 * The hellos carry digests. If they are the same, so are the vectors, and nothing more is said. If
 * not, and either vector is long, each end sends the digests of its buckets; then each sends its
 * entries of the buckets that differ, which both ends see alike. Short vectors are sent at once.
 * In the end the whole of what was learnt must have the digest of the hello.
 */
import type { StagePoint } from "../store/stage.ts";
import {
  bucketBits,
  bucketDigests,
  bucketOf,
  digest,
  type Entry,
  inActorOrder,
  isSameDigest,
} from "./digest.ts";
import {
  entriesPerMessageMax,
  entriesWhole,
  type Greeting,
  type Hello,
  type Summary,
  type Vector,
} from "./message.ts";

/** A message to be sent. */
interface Said {
  readonly kind: "send";
  readonly message: Summary | Vector;
}

/** A comparison under way. */
export interface Comparing {
  readonly kind: "comparing";
  readonly ours: Greeting;
  readonly theirs: Hello;
  readonly stage: StagePoint | undefined;
  /** Digests of our buckets, until the peer's have come. */
  readonly digests: readonly Uint8Array[] | undefined;
  readonly bits: number;
  /** Per bucket, whether it differs. Undefined: all of the vectors is sent. */
  readonly differs: readonly boolean[] | undefined;
  /** What we know of the peer's vector so far; only its own array grows. */
  readonly heard: readonly Entry[];
  readonly resume: StagePoint | undefined;
}

/** The peer's vector is known. */
export interface Compared {
  readonly kind: "compared";
  readonly known: readonly Entry[];
  readonly resume: StagePoint | undefined;
}

/** Begins a comparison, if there is anything to compare. */
export function comparison(
  ours: Greeting,
  theirs: Hello,
  stage: StagePoint | undefined,
): { readonly kind: "same" } | { readonly kind: "differ"; readonly state: Comparing } {
  if (isSameDigest(ours.hello.digest, theirs.digest)) return { kind: "same" };
  const longer = Math.max(ours.entries.length, theirs.actors);
  const isShort = longer <= entriesWhole;
  const bits = isShort ? 0 : bucketBits(longer);
  return {
    kind: "differ",
    state: {
      kind: "comparing",
      ours,
      theirs,
      stage,
      bits,
      digests: isShort ? undefined : bucketDigests(ours.entries, bits),
      differs: undefined,
      heard: [],
      resume: undefined,
    },
  };
}

/** What we have to say in this state: our digests, or our part of what differs. */
export function opinion(state: Comparing): Said[] {
  const { bits, differs, digests, ours, stage } = state;
  if (digests) return [{ kind: "send", message: { kind: "summary", bits, digests } }];
  const entries = differs
    ? ours.entries.filter(({ actor }) => differs[bucketOf(actor, bits)] === true)
    : ours.entries;
  const messages: Said[] = [];
  for (let at = 0; at === 0 || at < entries.length; at += entriesPerMessageMax) {
    const message: Vector = {
      kind: "vector",
      more: at + entriesPerMessageMax < entries.length,
      entries: entries.slice(at, at + entriesPerMessageMax),
      ...(stage && at === 0 ? { stage } : {}),
    };
    messages.push({ kind: "send", message });
  }
  return messages;
}

/** Takes the peer's digests in; a string says what was wrong with them. */
export function differing(state: Comparing, summary: Summary): Comparing | string {
  const { bits, digests } = state;
  if (digests === undefined) return "a summary that was not due";
  if (summary.bits !== bits) return `a summary by ${summary.bits} bits, not ${bits}`;
  const differs = digests.map((ours, bucket) => {
    const theirs = summary.digests[bucket];
    return theirs === undefined || !isSameDigest(ours, theirs);
  });
  const same = state.ours.entries.filter(({ actor }) => differs[bucketOf(actor, bits)] === false);
  return { ...state, digests: undefined, differs, heard: same };
}

/** Takes entries of the peer in; a string says what was wrong with them. */
export function compared(state: Comparing, vector: Vector): Comparing | Compared | string {
  const { bits, differs, theirs } = state;
  if (state.digests) return "a vector before the summary";
  if (state.heard.length + vector.entries.length > theirs.actors) {
    return `more than the ${theirs.actors} actors that were said`;
  }
  if (vector.more && vector.entries.length < entriesPerMessageMax)
    return "a vector in small pieces";
  if (differs && vector.entries.some(({ actor }) => differs[bucketOf(actor, bits)] !== true)) {
    return "an actor of a part that does not differ";
  }
  const heard = [...state.heard, ...vector.entries];
  const resume = vector.stage ?? state.resume;
  if (vector.more) return { ...state, heard, resume };
  const known = inActorOrder(heard);
  if (known.some(({ actor }, i) => actor === known[i - 1]?.actor)) return "an actor twice";
  if (!isSameDigest(digest(known), theirs.digest)) return "a vector unlike its digest";
  return { kind: "compared", known, resume };
}
