/** What can be done to a client or to its store while a suite runs. */
import type { LockBackend } from "../../src/escalate/locks.ts";

/** Each is there unless the subject says that it is `without` it. */
export interface LockFaults {
  /** The process of the client dies: it asks nothing any more, and says no goodbye. */
  readonly crash?: (client: LockBackend) => Promise<void>;
  /** What it asks arrives, and no answer comes back, until it is mended. */
  readonly loseReplies?: (client: LockBackend) => Promise<void>;
  /** Nothing arrives, and no connection ends, until it is mended. */
  readonly hang?: (client: LockBackend) => Promise<void>;
  /** Answers come that much later, until it is mended. */
  readonly delayReplies?: (client: LockBackend, delayMs: number) => Promise<void>;
  readonly mend?: (client: LockBackend) => Promise<void>;
  /** How often it has asked the store. */
  readonly requests?: (client: LockBackend) => number;
  /** The store is killed, and starts again with what its disk has. */
  readonly restartStore?: () => Promise<void>;
  /** The store loses everything. */
  readonly wipeStore?: () => Promise<void>;
}

/** One empty store. */
export interface LockStore {
  readonly faults: LockFaults;
  /** Another client, independent of the others; all of one prefix see the same guards. */
  connect(options?: { readonly prefix?: string }): Promise<LockBackend>;
  /** Ends what the faults left; clients are disposed of before. */
  close(): Promise<void>;
}

/** What cases may need of a subject. `order`: grants come in the order of arrival. */
export type LockNeed = keyof LockFaults | "operate" | "order";

/** What the suite has to know of a backend. */
export interface LockSubject {
  readonly name: string;
  /** An empty store, or one in which nothing of before is in the way. */
  open(): Promise<LockStore>;
  /** The time to live of short leases, in ms. Default 400; some servers know only seconds. */
  readonly ttlMs?: number;
  /** How much longer than it ought to anything may take, in ms. Default 2,000. */
  readonly slackMs?: number;
  /** A large value, in bytes. Default 1 MiB. */
  readonly valueBytes?: number;
  /** How many stand in the long line. Default 500. */
  readonly waiters?: number;
  /**
   * How long nothing is asked once all stand in the long line, in ms. Default 1,100: of so many some may be
   * answered too late, and ask again after a pause of up to a second. Less where clients look by themselves.
   */
  readonly joinedMs?: number;
  /** What it has not; the cases that need it are left out. */
  readonly without?: readonly LockNeed[];
}
