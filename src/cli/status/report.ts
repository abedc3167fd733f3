/**
 * What a peer said of itself, as far as it is shown: its status, or the snapshot that its events bring, which
 * has most under the same names. It may be of another version, so nothing is taken for granted.
 */
import { ProtocolError } from "../../errors.ts";

/** One peer of that peer. */
export interface ReportedPeer {
  readonly name: string;
  readonly url: string;
  readonly actor: string;
  readonly state: string;
  /** Why it was refused, or why its last link ended. */
  readonly why: string;
  readonly isRefused: boolean;
  readonly lagBatches: number;
  readonly lagMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly lastSeenMs: number | undefined;
}

/** Locks, in words. */
export interface ReportedLocks {
  readonly text: string;
  /** Why nothing escalates. */
  readonly trouble: string | undefined;
  /** Calls that wait for room. */
  readonly queued: number;
}

/** Rights to one bounded counter. */
export interface ReportedRights {
  readonly collection: string;
  readonly key: string;
  readonly rights: number;
  readonly waiting: number;
  readonly stopped: string | undefined;
}

/** A key that changes often. */
export interface ReportedHotKey {
  readonly collection: string;
  readonly key: string;
  /** Changes, those long ago counting less. */
  readonly touches: number;
}

/** A status. */
export interface Report {
  readonly name: string;
  readonly actor: string;
  /** Of the package; absent from peers that do not tell. */
  readonly version: string | undefined;
  readonly members: number;
  readonly peers: readonly ReportedPeer[];
  readonly aheadMs: number;
  readonly storage: string;
  readonly storageFailure: string | undefined;
  readonly pending: number;
  readonly locks: ReportedLocks;
  readonly rights: readonly ReportedRights[];
  /** What people call the type is only in a snapshot of this version or a later one; else it is empty. */
  readonly keys: readonly (readonly [collection: string, count: number, type: string])[];
  /** Only in a snapshot. */
  readonly hotKeys: readonly ReportedHotKey[];
  readonly bytes: number;
  readonly forks: number;
  readonly removalsKept: number;
}

type Told = Readonly<Record<string, unknown>>;

/** @throws ProtocolError for what is no status */
export function reportOf(told: unknown): Report {
  if (!isObject(told) || typeof told["actor"] !== "string" || !Array.isArray(told["peers"])) {
    const reason = "what was answered is no status of a peer";
    throw new ProtocolError(reason, { reason });
  }
  const storage = objectIn(told["storage"]);
  return {
    ...{ name: textIn(told["name"]), actor: told["actor"], version: some(told["version"]) },
    members: numberIn(told["members"]),
    peers: objectsIn(told["peers"]).map(peerOf),
    aheadMs: numberIn(objectIn(told["clock"])["aheadMs"]),
    storage: storage["kind"] === "durable" ? textIn(storage["location"]) : "memory only",
    storageFailure: some(storage["failure"]),
    pending: numberIn(storage["pending"]),
    locks: locksOf(objectIn(told["backend"] ?? told["locks"])),
    rights: objectsIn(told["rights"]).map(rightsOf),
    keys: keysOf(told),
    hotKeys: objectsIn(told["hotKeys"]).map(hotKeyOf),
    ...{ bytes: numberIn(told["stateBytes"] ?? told["bytes"]), forks: numberIn(told["forks"]) },
    removalsKept: numberIn(told["removalsKept"]),
  };
}

const keysOf = ({ keys, collections }: Told): Report["keys"] =>
  Array.isArray(collections)
    ? objectsIn(collections).map((one) => [
        textIn(one["name"]),
        numberIn(one["keys"]),
        textIn(one["type"]),
      ])
    : Object.entries(objectIn(keys)).map(([name, count]) => [name, numberIn(count), ""]);

const hotKeyOf = (told: Told): ReportedHotKey => ({
  ...{ collection: textIn(told["collection"]), key: textIn(told["key"]) },
  touches: numberIn(told["touches"]),
});

const peerOf = (told: Told): ReportedPeer => ({
  ...{ name: textIn(told["name"]), url: textIn(told["url"]), actor: textIn(told["actor"]) },
  state: textIn(told["state"]),
  why: some(told["refused"]) ?? textIn(told["lastEnd"]),
  isRefused: told["state"] === "refused" || some(told["refused"]) !== undefined,
  ...{ lagBatches: numberIn(told["lagBatches"]), lagMs: numberIn(told["lagMs"]) },
  ...{ bytesIn: numberIn(told["bytesIn"]), bytesOut: numberIn(told["bytesOut"]) },
  lastSeenMs: typeof told["lastSeenMs"] === "number" ? told["lastSeenMs"] : undefined,
});

const rightsOf = (told: Told): ReportedRights => ({
  ...{ collection: textIn(told["collection"]), key: textIn(told["key"]) },
  ...{ rights: numberIn(told["rights"]), waiting: numberIn(told["waiting"]) },
  stopped: some(told["stopped"]),
});

function locksOf(told: Told): ReportedLocks {
  const queued = numberIn(told["queued"]);
  if (told["kind"] === "embedded") {
    const host = `embedded, at ${textIn(told["host"])}`;
    const text = told["isHost"] === true ? `${host}, which is this replica` : host;
    const trouble = told["isServing"] === true ? undefined : "the lock authority cannot be asked";
    return { text, trouble, queued };
  }
  if (told["kind"] !== "backend")
    return { text: "nobody is the lock authority", trouble: undefined, queued };
  const [name, calls] = [textIn(told["name"]), textIn(told["calls"])];
  const trouble = calls === "closed" ? undefined : `the circuit to ${name} is ${calls}`;
  return { text: `${name}, ${numberIn(told["active"])} calls at work`, trouble, queued };
}

/** What is wrong, in words, worst first: with any of it the status of `trellis status` is 1. */
export function troublesOf(report: Report): string[] {
  const { peers, storageFailure, forks, locks, rights, aheadMs } = report;
  return [
    ...(storageFailure === undefined ? [] : [`nothing is durable: ${storageFailure}`]),
    ...(forks > 0 ? [`somebody else wrote as this replica, ${forks} times: it runs twice`] : []),
    ...(locks.trouble === undefined ? [] : [locks.trouble]),
    ...rights.flatMap(({ collection, key, stopped }) =>
      stopped === undefined ? [] : [`rights of ${collection} ${key}: ${stopped}`],
    ),
    ...peers.flatMap((peer) => {
      const who = peer.name || peer.url || peer.actor;
      if (peer.isRefused) return [`${who} is refused: ${peer.why}`];
      if (peer.state === "waiting") return [`${who} is not linked: ${peer.why}`];
      return peer.lagMs > lagMsMax
        ? [`${who} has not answered for ${Math.round(peer.lagMs)} ms`]
        : [];
    }),
    ...(aheadMs > aheadMsMax ? [`stamps are ${Math.round(aheadMs)} ms ahead of its clock`] : []),
  ];
}

/** Links stall for a while on a slow network, and stamps of others run ahead a little. */
export const lagMsMax = 10_000;
export const aheadMsMax = 5_000;

const isObject = (told: unknown): told is Told => typeof told === "object" && told !== null;
const objectIn = (told: unknown): Told => (isObject(told) ? told : {});
const objectsIn = (told: unknown): Told[] =>
  Array.isArray(told) ? (told as readonly unknown[]).filter(isObject) : [];
const numberIn = (told: unknown): number => (Number.isFinite(told) ? Number(told) : 0);
const textIn = (told: unknown): string => (typeof told === "string" ? told : "");
const some = (told: unknown): string | undefined => textIn(told) || undefined;
