/**
 * Locks for what stands outside Trellis: a report that is made once, a file, a call to another service. Their
 * names are apart from those of guarded values, so that nothing reaches a value but by its collection.
 */
import type { Lease } from "./locks.ts";
import type { NamedLocks, WithLockOptions } from "./named-locks.ts";

/** Before each name, in the store. */
const prefix = "lock/";

/** `replica.locks`. */
export class OutsideLocks {
  readonly #named: NamedLocks;

  constructor(named: NamedLocks) {
    this.#named = named;
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
    return this.#named.withLock(prefix + name, run, options);
  }

  /** The same for several at once, taken in the order that all agree on. The leases come in that of the names. */
  withLocks<T>(
    names: readonly string[],
    run: (leases: readonly Lease[]) => T | Promise<T>,
    options?: WithLockOptions,
  ): Promise<T> {
    return this.#named.withLocks(
      names.map((name) => prefix + name),
      run,
      options,
    );
  }
}
