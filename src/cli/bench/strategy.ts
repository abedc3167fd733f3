/**
 * The port of everything that is compared: a way to share state between the nodes of a service.
 *
 * Its adapters are the files of `strategies/`, one each, written the way its users write it; a file that is put
 * there takes part. A strategy is told which keys and amounts, and nothing of what is measured.
 */
import { readdir } from "node:fs/promises";
import type { ServiceName } from "../servers/shared.ts";
import type { WorkloadName } from "./workload.ts";

/** A result that may be there at once: what needs no waiting should not be made to wait. */
export type Awaitable<T> = T | Promise<T>;

/** What a service does with shared state. What throws may have happened, or not. */
export interface Verbs {
  /** Adds to a counter. Nothing limits it. */
  readonly add: (key: string, amount: number) => Awaitable<void>;
  /** Takes units away if there are so many. False: there are not, as far as it can tell; nothing was taken. */
  readonly take: (key: string, units: number) => Awaitable<boolean>;
  /** Uses a coupon. True for one customer only, ever. */
  readonly redeem: (coupon: string, customer: string) => Awaitable<boolean>;
  /** Makes a name the owner's. True if it is now, or was already. */
  readonly claim: (name: string, owner: string) => Awaitable<boolean>;
  readonly get: (key: string) => Awaitable<string | undefined>;
  readonly set: (key: string, value: string) => Awaitable<void>;
  /** Moves units if `from` has so many. False: it has not. */
  readonly move: (from: string, to: string, units: number) => Awaitable<boolean>;
}

/** A strategy as one node of a service has it open. */
export interface Client extends Partial<Verbs> {
  /** Where the other nodes reach this one, as a URL; for those that talk to each other. */
  readonly url?: string;
  /** Makes links to the other nodes. Those that are given dial; the others are dialled. */
  readonly join?: (urls: readonly string[]) => Promise<void>;
  /** Asked of one node before the load: gives each key so many units. */
  readonly fill?: (keys: readonly string[], units: number) => Promise<void>;
  /** The units of each key, as they are seen here. */
  readonly count?: (keys: readonly string[]) => Awaitable<readonly number[]>;
  readonly close: () => Promise<void>;
}

/** What one node has. */
export interface NodeContext {
  /** From 0. */
  readonly node: number;
  readonly nodes: number;
  readonly workload: WorkloadName;
  /** The servers of the service, through this node's own network. */
  readonly servers: readonly string[];
  /** Stands before every key on a server that others use, too. */
  readonly space: string;
  /** Where to keep what must be durable; undefined: nothing needs to be. */
  readonly directory: string | undefined;
}

/** One way to share state. */
export interface Strategy {
  /** In lower case with dashes, as the file is called. */
  readonly name: string;
  /** One line: what it does for each operation. */
  readonly title: string;
  /** `replicated`: changes are merged, nothing is ever refused. */
  readonly family: "trellis" | "lock" | "atomic" | "replicated" | "baseline";
  /** What it needs to run beside the nodes, if anything. */
  readonly service?: ServiceName;
  /** What an acknowledged operation survives when it is run durably, in a few words. */
  readonly durable?: string;
  /** The same when it is not; a strategy without `durable` has this only. */
  readonly volatile?: string;
  readonly workloads: readonly WorkloadName[];
  /** Set for what breaks rules by its nature, and is here to show that the ledger sees it. */
  readonly isStrawman?: true;
  /** Also asked what contention, callers, nodes, distance and faults do to it, which takes long. */
  readonly isSwept?: true;
  open(context: NodeContext): Promise<Client>;
}

const folder = new URL("strategies/", import.meta.url);

/** Every strategy there is, in the order of their names. */
export async function loadStrategies(): Promise<readonly Strategy[]> {
  const names = (await readdir(folder))
    .filter((file) => /(?<!\.d)\.[jt]s$/u.test(file))
    .map((file) => file.replace(/\.[jt]s$/u, ""));
  return await Promise.all(names.toSorted().map(loadStrategy));
}

/** The one of that name. */
export async function loadStrategy(name: string): Promise<Strategy> {
  const suffix = import.meta.url.slice(-3);
  const { strategy } = (await import(new URL(`${name}${suffix}`, folder).href)) as {
    readonly strategy: Strategy;
  };
  return strategy;
}
