/** Is this peer ready to be sent requests? And if not, why? */
import type { Environment, Timer } from "../environment.ts";
import type { ServedReplica } from "./served-replica.ts";

/** Why a peer is not ready. */
export interface Unready {
  readonly reason: "closed" | "draining" | "storage" | "not-synced";
  readonly detail: string;
}

/** Watches over one replica. */
export class Health {
  readonly #replica: ServedReplica;
  readonly #timer: Timer;
  #isSynced = false;
  /** It ends soon: whoever sends requests should send them elsewhere. */
  isDraining = false;

  /** After `readyMsMax` it is ready though some of its peers were never met. */
  constructor(replica: ServedReplica, environment: Environment, readyMsMax: number) {
    this.#replica = replica;
    const synced = (): void => {
      this.#isSynced = true;
      this.#timer.cancel();
    };
    this.#timer = environment.schedule(readyMsMax, synced);
    replica.synced({ timeoutMs: readyMsMax }).then(synced, () => undefined);
  }

  /** All reasons; none: it is ready. O(peers x actors). */
  get reasons(): Unready[] {
    const reasons: Unready[] = [];
    if (this.isDraining) reasons.push({ reason: "draining", detail: "this peer is closing" });
    if (!this.#isSynced) {
      const detail = "some of the configured peers have not brought this one to what they hold";
      reasons.push({ reason: "not-synced", detail });
    }
    try {
      const { failure } = this.#replica.status().storage;
      if (failure !== undefined) reasons.push({ reason: "storage", detail: failure });
    } catch {
      reasons.push({ reason: "closed", detail: "the replica is closed" });
    }
    return reasons;
  }

  close(): void {
    this.#timer.cancel();
  }
}
