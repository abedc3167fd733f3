/** What a service does all day: which operations, on which keys, and what must never be seen. */
import type { Client, Verbs } from "./strategy.ts";
import type { Tally } from "./tally.ts";
import { coupons } from "./workloads/coupons.ts";
import { likes } from "./workloads/likes.ts";
import { names } from "./workloads/names.ts";
import { register } from "./workloads/register.ts";
import { stock } from "./workloads/stock.ts";
import { transfers } from "./workloads/transfers.ts";

/** The workloads. */
export const workloadNames = [
  "likes",
  "stock",
  "coupons",
  "names",
  "register",
  "transfers",
] as const;

/** One of them. */
export type WorkloadName = (typeof workloadNames)[number];

/** Who calls: one of several on one node. */
export interface Caller {
  readonly client: Client;
  readonly tally: Tally;
  /** The keys of the cell; outcomes are noted under their indices. */
  readonly keys: readonly string[];
  /** Indices of keys, as often as their popularity wants it; the same for ever under one seed. */
  readonly draw: () => number;
  /** Numbers from 0 to below 1. */
  readonly random: () => number;
  /** Among all callers of all nodes, from 0. */
  readonly index: number;
  readonly callers: number;
}

/** One step of a caller: does one operation and notes what came of it. */
export type Step = () => void | Promise<void>;

/** A workload. */
export interface Workload {
  readonly name: WorkloadName;
  readonly title: string;
  /** What a strategy must be able to do. */
  readonly verbs: readonly (keyof Verbs)[];
  /** What must hold, in one sentence. */
  readonly rule: string;
  /** Keys are given units before the load, and a scarce load follows, in which they run out. */
  readonly hasUnits: boolean;
  /** The two callers of a pair want the same things; otherwise all callers do. */
  readonly isPairwise?: true;
  /** What one caller does, again and again. @throws Error if the client lacks a verb. */
  steps(caller: Caller): Step;
}

const all: Readonly<Record<WorkloadName, Workload>> = {
  likes,
  stock,
  coupons,
  names,
  register,
  transfers,
};

/** The workload of that name. */
export const workloadOf = (name: WorkloadName): Workload => all[name];
