/**
 * Locks over a bare backend, without a replica: `trellis-state/locks`.
 *
 * The same as `replica.locks`, with all that stands between: renewal, a line in this process before that of the store, deadlines,
 * a circuit breaker.
 */
import { type Environment, systemEnvironment } from "./environment.ts";
import { Parts } from "./escalate/coordination/parts.ts";
import { EscalatedCalls } from "./escalate/escalated-calls.ts";
import type { LockBackend } from "./escalate/locks.ts";
import { NamedLocks } from "./escalate/named-locks.ts";
import { OutsideLocks } from "./escalate/outside-locks.ts";
import { ResilientLocks } from "./escalate/resilience.ts";
import { type Logger, silentLogger, silentTelemetry, type Telemetry } from "./telemetry.ts";
import { harmless } from "./telemetry/harmless.ts";

export type { CandidateOptions, Leader, Term } from "./escalate/coordination/election.ts";
export type { Owner, Ownership, OwnOptions } from "./escalate/coordination/ownership.ts";
export type { Seat } from "./escalate/coordination/seat-list.ts";
export type { SeatOptions } from "./escalate/coordination/seats.ts";
export type {
  LastRun,
  Run,
  Singleton,
  SingletonOptions,
} from "./escalate/coordination/singleton.ts";
export type { Advised, HeldBy, OutsideLocks } from "./escalate/outside-locks.ts";
export type { WithLockOptions } from "./escalate/named-locks.ts";

/** What locks over a bare backend are made of. */
export interface OpenLocksOptions {
  readonly logger?: Logger;
  readonly telemetry?: Telemetry;
  /** Clock, timers and randomness: for tests. */
  readonly environment?: Environment;
}

/**
 * Locks over a backend such as `etcdLocks({ hosts })`, which is theirs from now on. Connects at the first use. Disposing waits for
 * who holds some, and disposes of the backend.
 */
export function openLocks(
  backend: LockBackend,
  options: OpenLocksOptions = {},
): OutsideLocks & AsyncDisposable {
  const { environment = systemEnvironment, logger = silentLogger } = options;
  const telemetry = harmless(options.telemetry ?? silentTelemetry, logger);
  const resilient = new ResilientLocks(backend, environment, telemetry);
  const named = new NamedLocks(resilient, environment, telemetry);
  const calls = new EscalatedCalls({ environment, logger, telemetry });
  return Object.assign(new OutsideLocks(new Parts(resilient, named, environment), calls), {
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await named.close();
      await resilient[Symbol.asyncDispose]();
    },
  });
}
