/** What the contacts of one collection share. */
import type { Environment } from "../../environment.ts";
import type { EscalatedCalls } from "../escalated-calls.ts";
import type { GuardedUpdates } from "../guarded-updates.ts";
import type { ShownFigures } from "./figures.ts";
import type { Holding } from "./holding.ts";
import type { Pool, PoolBounds } from "./pool.ts";
import type { RightsJournal } from "./rights-journal.ts";
import type { RightsTally } from "./rights-tally.ts";

/** The world of a contact. */
export interface Surroundings {
  readonly environment: Environment;
  /** Of this replica, for people. */
  readonly name: string;
  readonly bounds: PoolBounds;
  readonly updates: GuardedUpdates;
  readonly calls: EscalatedCalls;
  /** Of the store. */
  readonly birth: () => Promise<string>;
  readonly journal: RightsJournal;
  readonly figures: ShownFigures;
  /** Asks all others to give back. */
  readonly recall: (key: string) => void;
  /** Tells all others that there is something to be had. */
  readonly given: (key: string, by: number) => void;
  /** A round has read the pool. */
  readonly onSeen?: (holding: Holding, pool: Pool) => void;
  readonly tally: RightsTally;
  /** A holding spends nothing more. */
  readonly onStopped: (holding: Holding, why: Error) => void;
}
