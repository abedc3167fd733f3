/**
 * Where a run may be tampered with. A simulation whose checks cannot fail proves nothing, so the
 * canaries break something here, and expect to be found out. All other runs leave it empty.
 */
import type { Environment } from "../../src/environment.ts";
import type { Change } from "../../src/store/watch.ts";
import type { Transport } from "../../src/sync/transport.ts";

/** What may be put between a replica and its world. */
export interface Seams {
  /** What a host sees of the network. */
  readonly transport?: (transport: Transport, host: string) => Transport;
  /** Clock, timers and randomness of one process. */
  readonly environment?: (environment: Environment, host: string) => Environment;
  /** How a write is made that the history knows of. */
  readonly perform?: (perform: () => void) => void;
  /** How writes are made as one. */
  readonly transact?: (transact: (writes: () => void) => void, writes: () => void) => void;
  /** What a reader sees of a key. */
  readonly shown?: (collection: string, shown: unknown) => unknown;
  /** What a watcher is told. */
  readonly told?: (changes: AsyncIterable<Change>) => AsyncIterable<Change>;
  /** How somebody waits. */
  readonly waited?: (wait: () => Promise<void>) => Promise<void>;
}
