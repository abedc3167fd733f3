/** Keeps a lease alive while somebody works under it. */
import type { Environment, Timer } from "../environment.ts";
import { ClosedError, LeaseLostError } from "../errors.ts";
import type { Lease } from "./locks.ts";

/** A lease is renewed when a third of its time is over, so two renewals may fail. */
const renewalsPerTtl = 3;
/** After one that failed the next comes sooner. */
const retriesPerTtl = 12;

/** Renews until it is stopped or the lease is lost. It tells nobody: the lease's own signal does. */
export class Renewal {
  readonly #lease: Lease;
  readonly #ttlMs: number;
  readonly #environment: Environment;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(lease: Lease, ttlMs: number, environment: Environment) {
    this.#lease = lease;
    this.#ttlMs = ttlMs;
    this.#environment = environment;
    this.#after(ttlMs / renewalsPerTtl);
  }

  /** No renewal begins any more. Harmless twice. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #after(ms: number): void {
    if (this.#isStopped) return;
    this.#timer = this.#environment.schedule(ms, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    try {
      await this.#lease.renew();
      this.#after(this.#ttlMs / renewalsPerTtl);
    } catch (error) {
      if (error instanceof LeaseLostError || error instanceof ClosedError) this.stop();
      else this.#after(this.#ttlMs / retriesPerTtl);
    }
  }
}
