/** Guards in the memory of this process: for tests, and for one process that wants the same API. */
import { type Environment, systemEnvironment } from "../../environment.ts";
import type { Authority } from "../fence/authority.ts";
import { AuthorityClient } from "../fence/authority-client.ts";
import { GuardTable } from "../fence/guard-table.ts";
import type { LockBackend } from "../locks.ts";

/** Where several backends of one process keep their guards together. */
export interface MemoryLockStore {
  readonly authority: Authority;
}

/** How to open. */
export interface MemoryLocksOptions {
  /** Shared with other backends; its own unless given. */
  readonly store?: MemoryLockStore;
  /** Before every resource. Default `trellis/`. */
  readonly prefix?: string;
  /** Clocks, timers and randomness, for tests. */
  readonly environment?: Environment;
  /** How long one answer of the store may take, in ms. Default 2,000; only a store that a test breaks needs any. */
  readonly answerMs?: number;
}

/** An empty store, for `memoryLocks({ store })`. */
export const memoryLockStore = (environment: Environment = systemEnvironment): MemoryLockStore => ({
  authority: new GuardTable(environment),
});

/** A lock backend in memory: everything the port promises, until the process ends. */
export function memoryLocks(options: MemoryLocksOptions = {}): LockBackend {
  const { prefix = "trellis/", environment = systemEnvironment, answerMs = 2_000 } = options;
  const { authority } = options.store ?? memoryLockStore(environment);
  return new AuthorityClient({
    name: "memory",
    guarantees: { fencing: "until-restart", faultTolerant: false, atomicCommits: true },
    ...{ authority, environment, prefix, answerMs },
  });
}
