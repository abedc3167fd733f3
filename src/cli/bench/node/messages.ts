/** What the coordinator asks of a node's process, and what it is answered. */
import type { NodeContext } from "../strategy.ts";
import type { TallyFigures } from "../tally.ts";
import type { WorkloadName } from "../workload.ts";

/** Keys, as they are named: so many, with this before their number. */
export interface KeySet {
  readonly prefix: string;
  readonly count: number;
}

/** How operations are begun. */
export type Pace =
  /** Each caller begins its next one as soon as it is answered. */
  | { readonly kind: "closed" }
  /** One is begun at each tick of a clock, whether those before are answered or not; so many per second on this node. */
  | { readonly kind: "open"; readonly perSecond: number };

/** What one node is to do. */
export interface Load {
  readonly workload: WorkloadName;
  readonly keys: KeySet;
  /** Of the popularity of keys: 0 is even. */
  readonly zipf: number;
  readonly seed: number;
  readonly pace: Pace;
  /** The callers of this node, among `callersOfAll`. */
  readonly callers: readonly number[];
  readonly callersOfAll: number;
  /** On the clock that all processes share, in ms. */
  readonly startMs: number;
  /** Not counted, in ms. */
  readonly warmMs: number;
  /** Counted, in ms, in so many parts of the same length. */
  readonly countedMs: number;
  readonly slices: number;
  /** Where to note each operation as it begins and ends, for a process that may be killed. */
  readonly journal?: string;
}

/** What came of it on one node. */
export interface LoadFigures {
  readonly tally: TallyFigures;
  /** Of paced operations: from when each should have begun until it was answered, in ms. */
  readonly latenciesMs: Float64Array;
  /** Of those, the ones that were not answered in time; their latency is what had passed by then. */
  readonly unanswered: number;
  /** Of this process, from the start to the end of the load, in ms. */
  readonly cpuMs: number;
}

/** A request to a node's process. */
export type Command =
  /** Opens a strategy. Answered by `opened`. */
  | { readonly kind: "open"; readonly strategy: string; readonly context: NodeContext }
  /** Links to those of the other nodes that are to be dialled. Answered by `done`. */
  | { readonly kind: "join"; readonly urls: readonly string[] }
  /** Answered by `done`. */
  | { readonly kind: "fill"; readonly keys: KeySet; readonly units: number }
  /** Answered by `counted`. */
  | { readonly kind: "count"; readonly keys: KeySet }
  /** Answered by `loaded`. */
  | { readonly kind: "load"; readonly load: Load }
  /** Answered by `done`; another strategy may be opened then. */
  | { readonly kind: "close" };

/** An answer. */
export type Reply =
  /** Where other nodes reach it, if they do. */
  | { readonly kind: "opened"; readonly url?: string | undefined }
  | { readonly kind: "done" }
  | { readonly kind: "counted"; readonly units: readonly number[] }
  | { readonly kind: "loaded"; readonly figures: LoadFigures };
