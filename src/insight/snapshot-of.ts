/** Makes a snapshot of a replica: what it says of itself, cut to what people can read. */
import type { Environment } from "../environment.ts";
import type { LaneFigure } from "../escalate/lane-figures.ts";
import type { CollectionEntry } from "../any-collection.ts";
import { kindOf } from "../crdt/type-of.ts";
import type { PeerStatus, ReplicaStatus } from "../replica-status.ts";
import type { Activity, ActivityFigures } from "./activity.ts";
import {
  collectionsShownMax,
  cut,
  type PeerFigures,
  peersShownMax,
  rowsShownMax,
  type Snapshot,
  type SnapshotPeer,
  snapshotVersion,
  textCharactersMax,
} from "./snapshot.ts";

/** As much of a replica as is looked at. */
export interface Observed {
  readonly activity: Activity;
  status(): ReplicaStatus;
  inventory(): CollectionEntry[];
}

/** A snapshot is as good as new for so long, in ms: many may look at once. */
const freshMs = 90;

const latest = new WeakMap<Activity, Snapshot>();

/**
 * What a replica shows now, at most made once in 90 ms. `notReady` says why it should not be sent work.
 * Hot keys and changes are known of the time since `activity.look()`. O(peers x actors + collections).
 * @throws ClosedError the replica is closed
 */
export function snapshotOf(
  replica: Observed,
  environment: Environment,
  notReady: readonly string[],
): Snapshot {
  const { activity } = replica;
  const last = latest.get(activity);
  const ageMs = last === undefined ? Infinity : environment.now() - last.atMs;
  if (last !== undefined && ageMs >= 0 && ageMs < freshMs) return last;
  const snapshot = made(replica, activity.figures(), notReady);
  latest.set(activity, snapshot);
  return snapshot;
}

function made(replica: Observed, figures: ActivityFigures, notReady: readonly string[]): Snapshot {
  const status = replica.status();
  const { nowMs } = figures;
  const peers = [...status.peers, ...departedOf(status, figures)].map((peer, place) =>
    peerOf(peer, place, nowMs),
  );
  const collections = replica.inventory().toSorted((left, right) => right.keys - left.keys);
  return {
    version: snapshotVersion,
    atMs: nowMs,
    uptimeMs: figures.uptimeMs,
    name: cut(status.name),
    actor: status.actor,
    notReady: notReady.map((reason) => cut(reason, textCharactersMax)),
    members: status.members,
    clock: status.clock,
    storage: status.storage,
    forks: status.forks,
    removalsKept: status.removalsKept,
    stateBytes: status.bytes,
    keys: collections.reduce((sum, { keys }) => sum + keys, 0),
    totals: { batches: figures.batches, changes: figures.changes, locks: figures.locks.totals },
    peers: peers.toSorted(byTrouble).slice(0, peersShownMax),
    peersLeftOut: Math.max(0, peers.length - peersShownMax),
    collections: collections.slice(0, collectionsShownMax).map(({ name, tag, keys }) => {
      const bytes = figures.collectionBytes.get(name);
      return {
        name: cut(name),
        type: cut(kindOf(tag)),
        keys,
        ...(bytes === undefined ? {} : { bytes }),
      };
    }),
    collectionsLeftOut: Math.max(0, collections.length - collectionsShownMax),
    hotKeys: figures.hotKeys.map((each) => ({ ...each, ...named(each) })),
    backend: backendOf(status),
    locks: figures.locks.latest.map((each) => ({ ...each, resource: cut(each.resource) })),
    hotSpots: figures.hotSpots.map(spotOf),
    rights: status.rights.slice(0, rowsShownMax).map((each) => ({
      ...each,
      ...named(each),
      ...(each.stopped === undefined ? {} : { stopped: cut(each.stopped, textCharactersMax) }),
      holders: each.holders.slice(0, rowsShownMax),
    })),
    rightsLeftOut: Math.max(0, status.rights.length - rowsShownMax),
    pools: figures.pools.map((pool) => ({
      ...{ ...pool, ...named(pool) },
      holders: pool.holders.map((holder) => ({ ...holder, name: cut(holder.name) })),
    })),
    errors: figures.errors,
    events: figures.events,
  };
}

const named = ({ collection, key }: { readonly collection: string; readonly key: string }) => ({
  collection: cut(collection),
  key: cut(key),
});

const spotOf = (spot: LaneFigure): LaneFigure => ({ ...spot, resource: cut(spot.resource) });

const backendOf = ({ locks }: ReplicaStatus): Snapshot["backend"] =>
  locks.kind === "embedded" ? { ...locks, host: cut(locks.host) } : locks;

/** A peer before it is cut. */
type Seen = PeerFigures & Pick<PeerStatus, "actor" | "name" | "url">;

function peerOf(peer: Seen, place: number, nowMs: number): SnapshotPeer {
  const { actor, name, url, lastSeenMs, refused, lastEnd, clockOffsetMs } = peer;
  const { state, isDurable, lagBatches, lagMs, stagedBytes } = peer;
  const { bytesIn, bytesOut, framesIn, framesOut } = peer;
  return {
    id: url ?? actor ?? `#${place}`,
    ...{ state, isDurable, lagBatches, lagMs, stagedBytes, lastSeenMs, clockOffsetMs },
    ...{ bytesIn, bytesOut, framesIn, framesOut },
    ...(actor === undefined ? {} : { actor }),
    ...(name === undefined ? {} : { name: cut(name) }),
    ...(url === undefined ? {} : { url: cut(url, textCharactersMax) }),
    ...(refused === undefined ? {} : { refused: cut(refused, textCharactersMax) }),
    ...(lastEnd === undefined ? {} : { lastEnd: cut(lastEnd, textCharactersMax) }),
    ...(lastSeenMs === undefined ? {} : { silentMs: Math.max(0, nowMs - lastSeenMs) }),
  };
}

/** Those that are gone, as peers; who is here under the same name is not. */
function departedOf({ peers }: ReplicaStatus, { departed }: ActivityFigures): Seen[] {
  const present = new Set(peers.flatMap(({ name, actor }) => [name, actor]));
  return departed
    .filter(({ name, actor }) => !present.has(name) && !present.has(actor))
    .map(({ actor, name, lastSeenMs, reason }) => ({
      ...{ actor, name, lastSeenMs, url: undefined, state: "closed", lastEnd: reason },
      ...{ isDurable: false, lagBatches: 0, lagMs: 0, stagedBytes: 0, clockOffsetMs: undefined },
      ...{ bytesIn: 0, bytesOut: 0, framesIn: 0, framesOut: 0 },
    }));
}

/** Those that somebody should look at come first, so that a bound leaves out the others. */
const byTrouble = (left: SnapshotPeer, right: SnapshotPeer): number =>
  Number(left.state === "streaming") - Number(right.state === "streaming") ||
  right.lagBatches - left.lagBatches;
