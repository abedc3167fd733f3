/** What a run asks: one base cell, and what is varied around it, one thing at a time. */
import type { Times } from "./measure.ts";
import type { Cell } from "./results.ts";
import type { Strategy } from "./strategy.ts";
import type { WorkloadName } from "./workload.ts";

/** The cell from which all others differ in one thing. */
export const base: Omit<Cell, "strategy" | "workload" | "keys"> = {
  zipf: 0.9,
  callers: 16,
  nodes: 3,
  roundTripMs: 1,
  isDurable: true,
};

/** Ratios are taken to it: the lock that most people mean when they say so. */
export const yardstick = "redis-lock";

/** Few enough that callers meet; of names there are more, since most of them are free. */
const keysOf = (workload: WorkloadName): number => (workload === "names" ? 100_000 : 100);

/** One question, and how long it may be looked at. */
export interface PlannedCell {
  readonly cell: Cell;
  readonly times: Times;
}

/** A run's size. */
export interface Profile {
  readonly name: "quick" | "full";
  /** Nothing is begun after that, in s. */
  readonly secondsMax: number;
  readonly hasFaults: boolean;
  readonly hasScaling: boolean;
  /** Cells of one strategy, those that others are compared with first. */
  cells(strategy: Strategy, workloads: readonly WorkloadName[]): readonly PlannedCell[];
}

const quickTimes: Times = {
  aloneMs: 80,
  warmMs: 400,
  closedMs: 600,
  openMs: 500,
  offeredPerSecond: 500,
  scarceMs: 300,
};
const fullTimes: Times = {
  aloneMs: 150,
  warmMs: 500,
  closedMs: 900,
  // A thousand samples and some more, for the p99.9 of those that keep the rate.
  openMs: 1_100,
  offeredPerSecond: 1_000,
  scarceMs: 400,
};
const sweepTimes: Times = { ...fullTimes, warmMs: 400, closedMs: 600, openMs: 500, scarceMs: 0 };

/** What is varied around the base. */
const variations: readonly Partial<Cell>[] = [
  { zipf: 0 },
  { zipf: 1.2 },
  { callers: 1 },
  { callers: 4 },
  { callers: 64 },
  { nodes: 1 },
  { nodes: 5 },
  { nodes: 9 },
  { roundTripMs: 0 },
  { roundTripMs: 20 },
  { roundTripMs: 80 },
  { isDurable: false },
];

const cellOf = (strategy: Strategy, workload: WorkloadName, changed: Partial<Cell> = {}): Cell => ({
  ...base,
  // What cannot be durable is compared with what is not.
  isDurable: strategy.durable !== undefined,
  strategy: strategy.name,
  workload,
  keys: keysOf(workload),
  ...changed,
});

/** The workload that says most of a strategy: a rule to hold, if it can. */
const mainOf = (workloads: readonly WorkloadName[]): WorkloadName | undefined =>
  workloads.find((name) => name === "stock") ?? workloads[0];

/** What is not durable is compared with the yardstick when that is not durable either. */
const measuresFor = (strategy: Strategy, workloads: readonly WorkloadName[]): readonly Cell[] =>
  strategy.name === yardstick
    ? workloads
        .filter((name) => name === "likes" || name === "register")
        .map((name) => cellOf(strategy, name, { isDurable: false }))
    : [];

const quick: Profile = {
  name: "quick",
  secondsMax: 115,
  hasFaults: false,
  hasScaling: false,
  cells(strategy, workloads) {
    const main = mainOf(workloads);
    const asked = new Set(main === undefined ? [] : [main]);
    // So that every ratio of this profile has its yardstick.
    if (strategy.name === yardstick && workloads.includes("likes")) asked.add("likes");
    const cells = [...asked].map((name) => cellOf(strategy, name));
    return [...cells, ...measuresFor(strategy, [...asked])].map((cell) => ({
      cell,
      times: quickTimes,
    }));
  },
};

const full: Profile = {
  name: "full",
  secondsMax: 1_170,
  hasFaults: true,
  hasScaling: true,
  cells(strategy, workloads) {
    const main = mainOf(workloads);
    // The one that faults are tried on first.
    const inOrder = main === undefined ? [] : [main, ...workloads.filter((name) => name !== main)];
    const atBase = [
      ...inOrder.map((name) => cellOf(strategy, name)),
      ...measuresFor(strategy, workloads),
    ].map((cell) => ({ cell, times: fullTimes }));
    if (strategy.isSwept === undefined || main === undefined) return atBase;
    const varied = variations
      .filter(({ isDurable }) => isDurable === undefined || strategy.durable !== undefined)
      .map((changed) => ({ cell: cellOf(strategy, main, changed), times: sweepTimes }));
    return [...atBase, ...varied];
  },
};

/** The profiles by name. */
export const profiles: Readonly<Record<Profile["name"], Profile>> = { quick, full };
