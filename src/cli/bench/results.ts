/** What a run leaves behind: `results.json`, from which tables and charts are drawn. */
import type { Strategy } from "./strategy.ts";
import type { WorkloadName } from "./workload.ts";

/** Where in the space of all questions one was asked. */
export interface Cell {
  readonly strategy: string;
  readonly workload: WorkloadName;
  /** Exponent of the keys' popularity. */
  readonly zipf: number;
  readonly keys: number;
  /** Callers of all nodes together. */
  readonly callers: number;
  /** Processes. */
  readonly nodes: number;
  /** To servers and between nodes, as it was set, in ms. */
  readonly roundTripMs: number;
  readonly isDurable: boolean;
}

/** What cells are varied along. */
export const axes = ["zipf", "callers", "nodes", "roundTripMs", "isDurable"] as const;

/** One of them. */
export type Axis = (typeof axes)[number];

/** Latency of an open load: from when each operation was due until it was answered. */
export interface Latency {
  /** How many were due each second, on all nodes together. */
  readonly offeredPerSecond: number;
  readonly samples: number;
  /** Of those, not answered before the end; they count with what had passed by then. */
  readonly unanswered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Null under 1,000 samples: there is no thousandth then. */
  readonly p999Ms: number | null;
  readonly maxMs: number;
}

/** What the ledger found that must not be. */
export interface Violations {
  readonly total: number;
  /** Units sold beyond what there was. */
  readonly oversold: number;
  /** Coupons accepted twice, names with two owners. */
  readonly doubled: number;
  /** Acknowledged changes that are gone, in units. */
  readonly lost: number;
  /** Units or values that nobody put there. */
  readonly conjured: number;
  /** Keys on which nodes still disagreed at the end. */
  readonly divergent: number;
}

/** How old what was read was: since when something newer had been acknowledged. */
export interface Staleness {
  readonly reads: number;
  /** Of those, the ones that were not of the newest. */
  readonly stale: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What was measured in one cell. */
export interface Measures {
  /** Answers a second of a closed load, refusals included. */
  readonly perSecond: number;
  /** The slowest and the fastest quarter of the load, over the whole. */
  readonly steadiness: readonly [slowest: number, fastest: number];
  readonly operations: number;
  readonly refused: number;
  readonly failed: number;
  /** Some errors of those that failed. */
  readonly errors: readonly string[];
  /** Absent where only throughput was asked for. */
  readonly latency?: Latency;
  /** Bursts of questions and answers on the network, while one caller is alone. */
  readonly roundTripsAlone: number;
  /** The same under the closed load: those of several callers may share one. */
  readonly roundTripsPerOperation: number;
  /** Under the closed load, to servers and between nodes, both ways. */
  readonly bytesPerOperation: number;
  /** Of the nodes, in microseconds. */
  readonly nodeCpuPerOperation: number;
  /** Of the servers; null if they are not ours. */
  readonly serverCpuPerOperation: number | null;
  readonly violations: Violations;
  /** Refusals while there certainly was enough, on all nodes together. */
  readonly affordableRefusals: number;
  /** Only where something is read. */
  readonly staleness?: Staleness;
}

/** A cell and what came of it. */
export type CellResult = Cell &
  (
    | { readonly measures: Measures; readonly error?: undefined }
    /** It could not be measured. */
    | { readonly error: string; readonly measures?: undefined }
  );

/** A fault, and how the strategy took it: what was served while it lasted and after. */
export interface FaultResult {
  readonly strategy: string;
  readonly workload: WorkloadName;
  /** `cut-node`: one node has no network for a while. `kill-node`, `kill-server`: SIGKILL; the server is started again. */
  readonly fault: "cut-node" | "kill-node" | "kill-server";
  /** Answers a second and node before the fault, of the nodes that are not hit. */
  readonly perSecondBefore: number;
  /** The same while it lasts, of the node that is cut off. */
  readonly perSecondOfTheCut?: number;
  /** The same while it lasts, of the nodes that are not hit. */
  readonly perSecondOfOthers: number;
  /** The longest time without an answer on the nodes that are not hit, from the fault on, in ms. */
  readonly longestSilenceMs: number;
  readonly failed: number;
  readonly violations: Violations;
  readonly error?: string;
}

/** One question of scale: how the cost of an operation grows with something. */
export interface ScalingResult {
  readonly name: string;
  /** `Trellis`, or a rival. */
  readonly strategy: string;
  /** What is varied, with its unit. */
  readonly xLabel: string;
  /** What it costs, with its unit. */
  readonly yLabel: string;
  readonly points: readonly { readonly x: number; readonly y: number; readonly how: string }[];
  /** Of the line through the logarithms of both: 0 is constant, 1 proportional. */
  readonly slope: number;
  /** How it was measured, in a sentence. */
  readonly method: string;
}

/** A strategy, as it took part or did not. */
export type StrategyEntry = Pick<
  Strategy,
  "name" | "title" | "family" | "durable" | "volatile" | "isStrawman"
> & {
  /** Why it did not take part. */
  readonly skipped?: string;
};

/** What it was run on. */
export interface Machine {
  readonly cpu: string;
  readonly processors: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
  /** Names of packages and servers, with versions. */
  readonly versions: Readonly<Record<string, string>>;
  readonly loadAverageBefore: number;
  readonly loadAverageAfter: number;
  /** Where what is durable was kept. */
  readonly disk: string;
}

/** How a ratio came out in an earlier run. */
export interface Agreement {
  /** When the earlier run began. */
  readonly startedAt: string;
  readonly compared: number;
  /** Those that differ by more than `agreementMax`. */
  readonly apart: readonly {
    readonly cell: Cell;
    readonly before: number;
    readonly now: number;
  }[];
}

/** The reason of a cell that nobody came to. It says nothing against its strategy. */
export const timeOver = "not measured: the time of the profile was over";

/** A ratio may differ so much between two runs and still be called the same. */
export const agreementMax = 0.25;

/** A run. */
export interface Results {
  readonly version: 1;
  readonly trellis: string;
  readonly profile: string;
  readonly seed: number;
  /** What was typed, but for the places of servers. */
  readonly command: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly seconds: number;
  readonly machine: Machine;
  /** How each kind of server was set up; `yours` if its URL was given. */
  readonly servers: Readonly<Record<string, string>>;
  /** What the clock of an open load costs by itself: every latency has it. */
  readonly clock: { readonly p50Ms: number; readonly p99Ms: number };
  /** What was measured of each round trip that was set, in ms, by the network's own echo. */
  readonly roundTripsMs: Readonly<Record<string, number>>;
  /** The strategy that ratios of throughput are taken to, in the same cell. */
  readonly yardstick: string;
  /** The cell from which one thing at a time is varied. */
  readonly base: Omit<Cell, "strategy" | "workload" | "keys">;
  readonly strategies: readonly StrategyEntry[];
  readonly cells: readonly CellResult[];
  readonly faults: readonly FaultResult[];
  readonly scaling: readonly ScalingResult[];
  /** Beside the run whose results lay in the same folder, if its profile was the same. */
  readonly agreement?: Agreement;
}
