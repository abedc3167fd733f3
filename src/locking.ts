/** The locks of a replica: its seat among the lock authority's, and the backend that asks there. */
import type { Environment } from "./environment.ts";
import { type Ambition, Seat, type SeatStatus } from "./escalate/embedded/seat.ts";
import { EmbeddedLocks } from "./escalate/locks/embedded.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import type { Schema } from "./store/schema.ts";
import type { StorageEngine } from "./store/storage.ts";
import type { Logger } from "./telemetry.ts";
import { isExclusive, witnessOf } from "./witnesses.ts";

/** What it is made of. */
export interface LockingOptions {
  readonly replica: ReplicaOptions<Schema>;
  readonly name: string;
  readonly environment: Environment;
  readonly logger: Logger;
  /** Somebody should see to this. */
  readonly onWarning: (message: string) => void;
}

/** Locks, from the opening of a replica to its end. */
export class Locking {
  /** A service of the links. */
  readonly seat: Seat;
  readonly #locks: EmbeddedLocks;
  readonly #replica: ReplicaOptions<Schema>;

  /** @throws UsageError if another replica has these locks. */
  constructor({ replica, ...options }: LockingOptions) {
    const { locks } = replica;
    const { environment } = options;
    this.#replica = replica;
    this.#locks = locks instanceof EmbeddedLocks ? locks : new EmbeddedLocks({ environment });
    this.seat = new Seat({ ...options, ambition: ambitionOf(replica, this.#locks) });
    this.#locks.attach(this.seat);
  }

  /** What to show. */
  get status(): { readonly kind: "none" } | ({ readonly kind: "embedded" } & SeatStatus) {
    const { status } = this.seat;
    return status ? { kind: "embedded", ...status } : { kind: "none" };
  }

  /** `engine` is where the replica is durable. @throws see `Seat.start` */
  async start(engine: StorageEngine | undefined): Promise<void> {
    if (!engine) return this.seat.start();
    const witness = await witnessOf(this.#replica);
    return this.seat.start({ engine, witness, isExclusive: isExclusive(this.#replica) });
  }

  /** Gives back what is held, while the links stand. */
  async leave(): Promise<void> {
    await this.#locks[Symbol.asyncDispose]();
  }

  /** Resolves when nothing of it is at work, after the links have ended. */
  close(): Promise<void> {
    return this.seat.close();
  }
}

function ambitionOf(
  { listen, peers = [] }: ReplicaOptions<Schema>,
  locks: EmbeddedLocks,
): Ambition {
  if (locks.isHost) return "at-once";
  return listen === undefined && peers.length === 0 ? "alone" : "never";
}
