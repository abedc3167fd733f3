/**
 * The command `trellis verify`: what differs between two replicas, each a directory or a live peer. A
 * directory is read into memory; a peer is asked for digests of ranges of keys, and keeps nothing of it.
 */
import { systemEnvironment } from "../environment.ts";
import type { DifferingKey, Pair } from "../store/compare/differences.ts";
import { KeyspaceWitness } from "../store/compare/keyspace-witness.ts";
import {
  type ComparedCollection,
  isOfTwoTypes,
  type Lag,
  type Verification,
  verify,
} from "../store/compare/verification.ts";
import type { KeyRange, Witness } from "../store/compare/witness.ts";
import { PeerWitness } from "../sync/peer-witness.ts";
import { webSocketTransport } from "../sync/transport/websocket.ts";
import { checkDialing, type DialOptions, dialTarget } from "./dialing.ts";
import { isUrl } from "./flags.ts";
import { readStoredState } from "./stored-state.ts";
import { quoted, shown, table } from "./table.ts";

/** The options of `trellis verify`. */
export interface VerifyCommandOptions extends DialOptions {
  /** Keys that are listed for each collection. */
  readonly limit: number;
  /** After so long nothing is asked about again, in seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** Keys that are found for each collection, listed or not: what moves meanwhile is among them. */
const keysFoundMin = 1_000;
const actorsShown = 20;
const keyLengthShown = 60;

/**
 * Compares two replicas and prints what differs; returns whether nothing does.
 * @throws UsageError, UnauthorizedError, ProtocolError of a peer; StorageError, CorruptStorageError of a
 * directory.
 */
export async function verifyCommand(
  a: string,
  b: string,
  options: VerifyCommandOptions,
): Promise<boolean> {
  const { limit, timeout, json = false } = options;
  checkDialing(options);
  const one = await open(a, options);
  try {
    const other = await open(b, options);
    try {
      const found = await verify([one, other], {
        environment: systemEnvironment,
        keysMax: Math.max(limit, keysFoundMin),
        timeoutMs: timeout * 1_000,
      });
      const print = json ? asJson : asText;
      process.stdout.write(`${print({ places: [a, b], limit, found })}\n`);
      return found.verdict === "same";
    } finally {
      await other.close();
    }
  } finally {
    await one.close();
  }
}

const open = (place: string, options: DialOptions): Promise<Witness> =>
  isUrl(place) ? openPeer(place, options) : readDirectory(place);

function openPeer(url: string, options: DialOptions): Promise<Witness> {
  return PeerWitness.open({
    target: dialTarget(url, options),
    transport: webSocketTransport(systemEnvironment),
    environment: systemEnvironment,
  });
}

async function readDirectory(directory: string): Promise<Witness> {
  const { keyspace } = await readStoredState(directory);
  return new KeyspaceWitness({ keyspace, environment: systemEnvironment, isStill: true });
}

// What is printed.

interface Report {
  readonly places: Pair<string>;
  readonly limit: number;
  readonly found: Verification;
}

/** What is known of the keys of a collection that differ. */
interface DifferingKeys {
  readonly listed: readonly DifferingKey[];
  /** Those that are listed, and more. */
  readonly count: number;
  /** Where others differ that were not looked for. */
  readonly ranges: readonly (KeyRange & { readonly keys: Pair<number> })[];
}

function differingKeys({ differences }: ComparedCollection, limit: number): DifferingKeys {
  const keys = differences.flatMap(({ listed }) => listed ?? []);
  const ranges = differences.flatMap(({ after, to, keys: counts, listed }) =>
    listed === undefined ? [{ after, to, keys: counts }] : [],
  );
  return { listed: keys.slice(0, limit), count: keys.length, ranges };
}

function asJson({ places, limit, found }: Report): string {
  const { verdict, collections, lags } = found;
  const told = {
    a: places[0],
    b: places[1],
    verdict,
    collections: collections.map((collection) => {
      const { name, tags, keys } = collection;
      return { name, types: tags, keys, differing: differingKeys(collection, limit) };
    }),
    lags,
  };
  return JSON.stringify(told, (_, value: unknown) => value ?? null, 2);
}

function asText({ places, limit, found }: Report): string {
  const { collections, verdict, lags } = found;
  const rows = collections.map((collection) => {
    const { name, tags, keys } = collection;
    const type = [...new Set(tags.filter((tag) => tag !== undefined))].join(", ");
    return [quoted(name, keyLengthShown), type, ...keys, differs(collection, limit)];
  });
  const details = collections
    .map((collection) => ({ collection, keys: differingKeys(collection, limit) }))
    .filter(({ keys }) => keys.count > 0 || keys.ranges.length > 0)
    .map(({ collection, keys }) => detail(collection, keys));
  return [
    `A  ${places[0]}`,
    `B  ${places[1]}`,
    table(["collection", "type", "keys at A", "keys at B", "differ"], rows),
    ...details,
    sentences[verdict],
    ...lagging(lags),
  ].join("\n");
}

/** In one word or two, how a collection differs. */
function differs(collection: ComparedCollection, limit: number): string {
  if (isOfTwoTypes(collection.tags)) return "two types";
  const { count, ranges } = differingKeys(collection, limit);
  if (ranges.length > 0) return `more than ${shown(count)}`;
  return count === 0 ? "none" : shown(count);
}

function detail({ name }: ComparedCollection, keys: DifferingKeys): string {
  const { listed, count, ranges } = keys;
  const rows: (readonly unknown[])[] = listed.map(({ key, at }) => [
    quoted(key, keyLengthShown),
    at === "b" ? 0 : 1,
    at === "a" ? 0 : 1,
    at === "both" ? "differs" : `only at ${at.toUpperCase()}`,
  ]);
  const more = count - listed.length;
  if (more > 0) rows.push([`and ${shown(more)} more`, "", "", "--limit lists them"]);
  for (const range of ranges) rows.push([rangeText(range), ...range.keys, "differ, not listed"]);
  return table([quoted(name, keyLengthShown), "keys at A", "keys at B", ""], rows);
}

function rangeText({ after, to }: KeyRange): string {
  const from = after === undefined ? "from the first" : `after ${quoted(after, keyLengthShown)}`;
  return `${from} to ${to === undefined ? "the last" : quoted(to, keyLengthShown)}`;
}

const sentences: Readonly<Record<Verification["verdict"], string>> = {
  same: "A and B are the same.",
  behind: "A and B differ: they have not seen the same writes.",
  diverged:
    "A and B have DIVERGED: they have seen the same writes and hold different things. This must " +
    "never happen; keep both as they are, and report it.",
  moving:
    "A and B differ, and changed for as long as there was time: what differs may be on its way.",
};

/** Who lacks how much of whom, most first. */
function lagging(lags: readonly Lag[]): string[] {
  const missing = ({ batches: [a, b] }: Lag): number => Math.abs(a - b);
  const sorted = lags.toSorted((one, other) => missing(other) - missing(one));
  const lines = sorted.slice(0, actorsShown).map((lag) => {
    const [a, b] = lag.batches;
    const who = a < b ? "A" : "B";
    const count = missing(lag);
    return `${who} lacks ${shown(count)} ${count === 1 ? "batch" : "batches"} of ${lag.actor}`;
  });
  const more = lags.length - lines.length;
  return more > 0 ? [...lines, `and of ${shown(more)} more actors; --json has them all`] : lines;
}
