/** What a keyspace is given. */
import type { Environment } from "../environment.ts";
import type { Schema } from "./schema.ts";

/** What a keyspace is made of. */
export interface KeyspaceOptions {
  readonly schema: Schema;
  readonly environment: Environment;
  /** Stamps further ahead of our clock are held, in ms. Default 60,000. */
  readonly clockAheadMsMax?: number;
  /** Removals kept for silent peers. Default 1,000,000. */
  readonly logEntriesMax?: number;
}
