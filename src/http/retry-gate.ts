/**
 * After a crash a peer may hold a batch that our disk had not: an operation, and the key that it was done
 * under. Until peers have told, a retry of it would find no key here and be done again. So keyed writes wait
 * until those who may know have brought us to what they have, or a bounded time is over.
 */
import type { Environment, Timer } from "../environment.ts";
import type { ServedReplica } from "./served-replica.ts";

/** Closed for keyed writes until peers have told. */
export class RetryGate {
  #isOpen = false;
  #timer: Timer | undefined;

  constructor(replica: ServedReplica, environment: Environment, gateMs: number) {
    const { lastStop } = replica;
    this.#isOpen = lastStop === "closed" || lastStop === "nobody";
    if (this.#isOpen) return;
    const open = (): void => this.close();
    this.#timer = environment.schedule(gateMs, open);
    // Those who dialed us before may not have yet: nobody knows when they all have.
    if (lastStop === "configured") {
      replica.synced({ timeoutMs: gateMs }).then(open, () => undefined);
    }
  }

  /** Whether keyed writes are taken. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Waits no longer. */
  close(): void {
    this.#isOpen = true;
    this.#timer?.cancel();
  }
}
