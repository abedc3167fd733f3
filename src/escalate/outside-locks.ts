/**
 * Locks for what stands outside Trellis: a report that is made once, a file, a call to another service. Their
 * names are apart from those of guarded values, so that nothing reaches a value but by its collection.
 */
import type { EscalatedCall, EscalatedCalls } from "./escalated-calls.ts";
import type { Lease } from "./locks.ts";
import type { NamedLocks, WithLockOptions } from "./named-locks.ts";

/** Before each name, in the store. */
const prefix = "lock/";

/** `replica.locks`. */
export class OutsideLocks {
  readonly #named: NamedLocks;
  readonly #calls: EscalatedCalls;

  constructor(named: NamedLocks, calls: EscalatedCalls) {
    this.#named = named;
    this.#calls = calls;
  }

  /**
   * Runs `run` while this process holds the lock, which is renewed meanwhile. A lock that is lost all the same
   * tells by `lease.lost`; whatever must not happen twice has to check `lease.token` where it happens.
   * @throws LockTimeoutError surely not granted, and not run; LockUnavailableError not run, but it may be
   * held; LeaseLostError it ran, and another may have run at the same time; UsageError out of order with
   * what the caller holds; OverloadedError, ClosedError; the reason of `signal`; what `run` throws.
   */
  withLock<T>(
    name: string,
    run: (lease: Lease) => T | Promise<T>,
    options?: WithLockOptions,
  ): Promise<T> {
    return this.#escalated([name], () => this.#named.withLock(prefix + name, run, options));
  }

  /** The same for several at once, taken in the order that all agree on. The leases come in that of the names. */
  withLocks<T>(
    names: readonly string[],
    run: (leases: readonly Lease[]) => T | Promise<T>,
    options?: WithLockOptions,
  ): Promise<T> {
    const resources = names.map((name) => prefix + name);
    return this.#escalated(names, () => this.#named.withLocks(resources, run, options));
  }

  #escalated<T>(names: readonly string[], work: () => Promise<T>): Promise<T> {
    const [resource] = names.map((name) => prefix + name);
    const call: EscalatedCall = {
      ...{ operation: "lock", route: "lock", resources: names.length },
      ...(resource === undefined ? {} : { resource }),
    };
    return this.#calls.run(call, work);
  }
}
