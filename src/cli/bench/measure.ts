/**
 * One cell: how much goes through, how long one waits, and which rules broke. Three loads, one after the other: a
 * closed one, as much as the callers can; an open one, at a rate that the strategy can surely keep; and where there
 * are units, a closed one in which they run out, since a rule that is never near its limit is never tried.
 */
import type { LoadFigures } from "./node/messages.ts";
import {
  affordableRefusals,
  type Book,
  stalenessOf,
  sumOfViolations,
  violationsOf,
} from "./ledger.ts";
import type { NodeCluster } from "./cluster.ts";
import type { Latency, Measures } from "./results.ts";
import { type Workload, workloadOf } from "./workload.ts";

/** How long each part is, and how much is offered. */
export interface Times {
  /** Of the load by one caller alone. */
  readonly aloneMs: number;
  readonly warmMs: number;
  readonly closedMs: number;
  /** Of the open load; 0: there is none. */
  readonly openMs: number;
  /** At most, on all nodes together; half of what goes through if that is less. */
  readonly offeredPerSecond: number;
  /** Of the load in which units run out; 0: there is none. */
  readonly scarceMs: number;
}

/** What else a cell needs. */
export interface MeasureOptions {
  readonly times: Times;
  readonly seed: number;
  /** Of all servers so far, in ms; null if they are not ours. */
  readonly serverCpuMs: () => number | null;
}

/** More than any load takes. */
const plenty = 1_000_000_000;
const scarceKeys = 10;
/** Of what would be taken in the time, so much is there. */
const scarcePart = 0.5;
const slices = 4;
/** What a closed load has warmed up needs no more than that, in ms. */
const openWarmMs = 150;

/** Measures the cell whose cluster it is. */
export async function measure(
  cluster: NodeCluster,
  { times, seed, serverCpuMs }: MeasureOptions,
): Promise<Measures> {
  const { cell, space } = cluster;
  const workload = workloadOf(cell.workload);
  const keys = { prefix: `${space}a`, count: cell.keys };
  if (workload.hasUnits) await cluster.give(keys, plenty);
  const { warmMs, closedMs, openMs } = times;

  const alone = await tripsAlone(cluster, { prefix: `${space}d`, count: 100 }, times.aloneMs);
  const before = { ...cluster.network.traffic, serverCpuMs: serverCpuMs() };
  const closed = await cluster.load({
    ...{ pace: { kind: "closed" }, keys, seed, warmMs, countedMs: closedMs, slices },
  });
  const after = { ...cluster.network.traffic, serverCpuMs: serverCpuMs() };
  const all = sum(closed, ({ tally }) => tally.all);
  if (all === 0) throw new Error(`nothing was answered: ${errorsOf(closed).join("; ")}`);
  const perSecond =
    (sum(closed, ({ tally }) => tally.answered.reduce((total, each) => total + each, 0)) * 1_000) /
    closedMs;

  // Names and values are used once; units and likes are summed up.
  const openKeys = workload.hasUnits ? keys : { ...keys, prefix: `${space}b` };
  const offeredPerSecond = Math.min(times.offeredPerSecond, perSecond / 2);
  const opened =
    openMs === 0
      ? []
      : await cluster.load({
          pace: { kind: "open", perSecond: offeredPerSecond },
          ...{ keys: openKeys, seed: seed + 1, countedMs: openMs, slices },
          warmMs: Math.min(warmMs, openWarmMs),
        });
  const books: AuditedBook[] = workload.hasUnits
    ? [{ set: keys, loads: [...closed, ...opened], filled: plenty }]
    : [
        { set: keys, loads: closed, filled: 0 },
        { set: openKeys, loads: opened, filled: 0 },
      ];
  if (workload.hasUnits && times.scarceMs > 0) {
    books.push(await runOut(cluster, { perSecond, scarceMs: times.scarceMs, seed: seed + 2 }));
  }
  const audits = await Promise.all(books.map((each) => audit(cluster, workload, each)));
  const loads = books.flatMap((each) => each.loads);
  const serverMs =
    before.serverCpuMs === null || after.serverCpuMs === null
      ? null
      : after.serverCpuMs - before.serverCpuMs;
  const staleness = stalenessOf((openMs === 0 ? closed : opened).map(({ tally }) => tally));
  return {
    perSecond,
    steadiness: steadinessOf(closed),
    operations: sum(loads, ({ tally }) => tally.all),
    refused: sum(loads, ({ tally }) => tally.refused),
    failed: sum(loads, ({ tally }) => tally.failed),
    errors: errorsOf(loads),
    ...(openMs === 0 ? {} : { latency: latencyOf(opened, offeredPerSecond) }),
    roundTripsAlone: alone,
    roundTripsPerOperation: (after.roundTrips - before.roundTrips) / all,
    bytesPerOperation: (after.bytes - before.bytes) / all,
    nodeCpuPerOperation: (sum(closed, ({ cpuMs }) => cpuMs) * 1_000) / all,
    serverCpuPerOperation: serverMs === null ? null : (serverMs * 1_000) / all,
    violations: sumOfViolations(audits.map(({ violations }) => violations)),
    affordableRefusals: audits.reduce((total, each) => total + each.affordable, 0),
    ...(staleness === undefined ? {} : { staleness }),
  };
}

/** What one operation asks of the network when nobody else is there whose questions travel with its own. */
async function tripsAlone(
  cluster: NodeCluster,
  keys: AuditedBook["set"],
  aloneMs: number,
): Promise<number> {
  const { cell, network } = cluster;
  if (workloadOf(cell.workload).hasUnits) await cluster.give(keys, plenty);
  const load = {
    pace: { kind: "closed" },
    ...{ keys, seed: 0, warmMs: 0, slices: 1, callers: [Math.min(cell.callers, cell.nodes) - 1] },
  } as const;
  // What is learnt of a key at its first use is paid before.
  await cluster.load({ ...load, countedMs: aloneMs / 2 });
  const before = network.traffic.roundTrips;
  const loads = await cluster.load({ ...load, countedMs: aloneMs });
  return (
    (network.traffic.roundTrips - before) /
    Math.max(
      1,
      sum(loads, ({ tally }) => tally.all),
    )
  );
}

interface AuditedBook {
  readonly set: { readonly prefix: string; readonly count: number };
  readonly loads: readonly LoadFigures[];
  readonly filled: number;
}

/** A sale of what half of the time would sell. */
async function runOut(
  cluster: NodeCluster,
  {
    perSecond,
    scarceMs,
    seed,
  }: { readonly perSecond: number; readonly scarceMs: number; readonly seed: number },
): Promise<AuditedBook> {
  const set = { prefix: `${cluster.space}c`, count: scarceKeys };
  const units = (perSecond * scarceMs * scarcePart) / 1_000;
  const filled = Math.max(1, Math.round(units / scarceKeys));
  await cluster.give(set, filled);
  const loads = await cluster.load({
    pace: { kind: "closed" },
    ...{ keys: set, seed, warmMs: 0, countedMs: scarceMs, slices },
  });
  return { set, loads, filled };
}

async function audit(
  cluster: NodeCluster,
  workload: Workload,
  { set, loads, filled }: AuditedBook,
) {
  const book: Book = { keys: set.count, filled, tallies: loads.map(({ tally }) => tally) };
  const isCounted = workload.hasUnits || workload.name === "likes";
  const shown = isCounted ? await cluster.settled(set, book) : [];
  return {
    violations: violationsOf(book, shown, workload),
    affordable: affordableRefusals(book),
  };
}

function latencyOf(loads: readonly LoadFigures[], offeredPerSecond: number): Latency {
  const all = Float64Array.from(loads.flatMap(({ latenciesMs }) => [...latenciesMs])).sort();
  const at = (part: number): number =>
    all[Math.min(all.length - 1, Math.ceil(all.length * part) - 1)] ?? 0;
  return {
    offeredPerSecond,
    samples: all.length,
    unanswered: sum(loads, ({ unanswered }) => unanswered),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    p999Ms: all.length < 1_000 ? null : at(0.999),
    maxMs: at(1),
  };
}

function steadinessOf(loads: readonly LoadFigures[]): readonly [number, number] {
  const parts = Array.from({ length: slices }, (_, slice) =>
    sum(loads, ({ tally }) => tally.answered[slice] ?? 0),
  );
  const mean = parts.reduce((total, part) => total + part, 0) / slices;
  return mean === 0 ? [0, 0] : [Math.min(...parts) / mean, Math.max(...parts) / mean];
}

const errorsOf = (loads: readonly LoadFigures[]): readonly string[] =>
  [...new Set(loads.flatMap(({ tally }) => tally.errors))].slice(0, 5);

const sum = (loads: readonly LoadFigures[], of: (load: LoadFigures) => number): number =>
  loads.reduce((total, each) => total + of(each), 0);
