/** What everything here works with. */
import type { Environment } from "../../environment.ts";
import type { Lease, LockBackend } from "../locks.ts";
import type { NamedLocks } from "../named-locks.ts";

/** A backend, the locks above it, and the world. */
export class Parts {
  readonly backend: LockBackend;
  readonly named: NamedLocks;
  readonly environment: Environment;

  constructor(backend: LockBackend, named: NamedLocks, environment: Environment) {
    this.backend = backend;
    this.named = named;
    this.environment = environment;
  }

  /**
   * Writes under the fence of a lease, which is held still afterwards.
   * @throws StaleTokenError, LeaseLostError it is not: nothing was written, or before somebody else came; ConflictError,
   * LockUnavailableError, UnknownOutcomeError.
   */
  async write(lease: Lease, value: Uint8Array): Promise<void> {
    const operationId = Buffer.from(this.environment.randomBytes(16)).toString("hex");
    await this.backend.commit([{ lease, value }], operationId);
    lease.lost.throwIfAborted();
  }
}
