/** What came of the last ten minutes: rates and figures at even steps, as many as there is room for. */
import type { Snapshot, SnapshotPeer } from "../../insight/snapshot.ts";

/** How far back charts go, in ms. */
export const historyMs = 600_000;
/** Between two points, in ms. */
export const stepMs = 2_000;
/** Points that are kept. */
export const pointsMax: number = historyMs / stepMs + 2;
/** Lines of peers in one point. */
const peersMax = 64;
/** After so long without a snapshot a line is broken, in ms. */
const gapMs = 3 * stepMs;

/** One moment. A figure that is not known is absent. */
export interface Point {
  readonly atMs: number;
  readonly figures: ReadonlyMap<string, number>;
}

/** Figures of all peers, a name before each. */
export const lagBatches = "lag-batches/";
export const lagMs = "lag-ms/";
export const clockOffset = "clock/";

const traffic = ["bytesIn", "bytesOut", "framesIn", "framesOut"] as const;

/** Totals of one snapshot. */
interface Totals {
  readonly atMs: number;
  readonly actor: string;
  readonly plain: ReadonlyMap<string, number>;
  readonly peers: ReadonlyMap<string, SnapshotPeer>;
}

/** Keeps points. */
export class History {
  #points: Point[] = [];
  #last: Totals | undefined;

  get points(): readonly Point[] {
    return this.#points;
  }

  /** Takes what is new; true if there is another point. */
  take(snapshot: Snapshot): boolean {
    const { atMs } = snapshot;
    const last = this.#last;
    if (last && atMs - last.atMs < stepMs * 0.9 && atMs >= last.atMs) return false;
    const totals = totalsOf(snapshot);
    this.#last = totals;
    // After a restart, or a clock that was set back, nothing before is comparable.
    if (last && (last.actor !== totals.actor || atMs < last.atMs)) {
      if (atMs < last.atMs) this.#points = [];
      return false;
    }
    const figures = new Map(present(snapshot));
    if (last) for (const [name, rate] of rates(last, totals)) figures.set(name, rate);
    if (last && atMs - last.atMs > gapMs) this.#add({ atMs: last.atMs + 1, figures: new Map() });
    this.#add({ atMs, figures });
    return true;
  }

  #add(point: Point): void {
    this.#points.push(point);
    if (this.#points.length > pointsMax) this.#points.shift();
  }
}

function totalsOf({ atMs, actor, totals, peers, hotSpots }: Snapshot): Totals {
  const { batches, changes, locks } = totals;
  return {
    atMs,
    actor,
    plain: new Map([
      ["batches-local", batches.local],
      ["batches-remote", batches.remote],
      ["changes-local", changes.local],
      ["changes-remote", changes.remote],
      ["granted", locks.granted],
      ["released", locks.released],
      ["wait-ms", locks.waitMs],
      ["hold-ms", locks.holdMs],
      ["losses", locks.losses],
      ["timeouts", locks.timeouts + locks.failures],
      ["conflicts", hotSpots.reduce((sum, { conflicts }) => sum + conflicts, 0)],
    ]),
    peers: new Map(peers.map((peer) => [peer.id, peer])),
  };
}

/** A total that fell began anew, unless it is the sum of what comes and goes. */
const grown = (now: number, before: number): number => (now >= before ? now - before : now);

function* rates(before: Totals, now: Totals): Generator<readonly [string, number]> {
  const seconds = (now.atMs - before.atMs) / 1_000;
  const delta = (name: string): number =>
    Math.max(0, (now.plain.get(name) ?? 0) - (before.plain.get(name) ?? 0));
  for (const name of now.plain.keys()) {
    if (!name.endsWith("-ms")) yield [name, delta(name) / seconds];
  }
  const [granted, released] = [delta("granted"), delta("released")];
  if (granted > 0) yield ["wait-ms", delta("wait-ms") / granted];
  if (released > 0) yield ["hold-ms", delta("hold-ms") / released];
  for (const field of traffic) {
    let sum = 0;
    for (const [id, peer] of now.peers)
      sum += grown(peer[field], before.peers.get(id)?.[field] ?? 0);
    yield [field, sum / seconds];
  }
}

function* present({ peers }: Snapshot): Generator<readonly [string, number]> {
  for (const { id, state, lagBatches: batches, lagMs: ms, clockOffsetMs } of peers.slice(
    0,
    peersMax,
  )) {
    // What is behind by nothing it can be told of is not in step.
    if (state === "streaming") {
      yield [lagBatches + id, batches];
      yield [lagMs + id, ms];
    }
    if (typeof clockOffsetMs === "number") yield [clockOffset + id, clockOffsetMs];
  }
}

/** The peers that were furthest behind lately: whose lines are drawn. */
export function furthest(
  points: readonly Point[],
  prefix: string,
  count: number,
): readonly string[] {
  const sums = new Map<string, number>();
  for (const { figures } of points) {
    for (const [name, value] of figures) {
      if (name.startsWith(prefix)) sums.set(name, Math.max(sums.get(name) ?? 0, Math.abs(value)));
    }
  }
  return [...sums]
    .toSorted((left, right) => right[1] - left[1] || left[0].localeCompare(right[0]))
    .slice(0, count)
    .map(([name]) => name)
    .toSorted();
}
