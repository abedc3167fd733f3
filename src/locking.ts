/**
 * The locks of a replica: its seat among the lock authority's, the backend that was given or the embedded
 * one, and what stands between a backend and who uses it: a deadline, a circuit and a bulkhead, an eye that
 * remembers what was seen, lines and renewal.
 */
import type { Environment } from "./environment.ts";
import { type Ambition, Seat, type SeatStatus } from "./escalate/embedded/seat.ts";
import { GuardedUpdates } from "./escalate/guarded-updates.ts";
import type { LockBackend } from "./escalate/locks.ts";
import { EmbeddedLocks } from "./escalate/locks/embedded.ts";
import { NamedLocks } from "./escalate/named-locks.ts";
import { type BackendStatus, ResilientLocks } from "./escalate/resilience.ts";
import { RollbackWatch, type Sightings } from "./escalate/rollback-watch.ts";
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
  /** What was seen of guards. */
  readonly sightings: Sightings;
  /** Somebody should see to this. */
  readonly onWarning: (message: string) => void;
}

/** What to show of the locks. */
export type LockingStatus =
  /** Nobody has claimed to be the lock authority, as far as is known here. */
  | { readonly kind: "none" }
  | ({ readonly kind: "embedded" } & SeatStatus)
  /** A backend that was given. */
  | ({ readonly kind: "backend" } & BackendStatus);

/** How long closing waits for those who hold locks, in ms. */
const leaveMsMax = 2_000;

/** Locks, from the opening of a replica to its end. */
export class Locking {
  /** A service of the links. */
  readonly seat: Seat;
  /** What escalated operations go through. */
  readonly backend: LockBackend;
  readonly named: NamedLocks;
  readonly updates: GuardedUpdates;
  readonly #options: { readonly environment: Environment };
  readonly #given: LockBackend;
  readonly #resilient: ResilientLocks;
  readonly #replica: ReplicaOptions<Schema>;

  /** @throws UsageError if another replica has these locks. */
  constructor({ replica, sightings, ...options }: LockingOptions) {
    const { environment } = options;
    this.#replica = replica;
    const given = replica.locks ?? new EmbeddedLocks({ environment });
    this.#options = options;
    this.#given = given;
    this.seat = new Seat({ ...options, ambition: ambitionOf(replica, given) });
    if (given instanceof EmbeddedLocks) given.attach(this.seat);
    this.#resilient = new ResilientLocks(given, environment);
    this.backend = new RollbackWatch(this.#resilient, sightings);
    this.named = new NamedLocks(this.backend, environment);
    this.updates = new GuardedUpdates(this.backend, environment);
  }

  /** What to show. */
  get status(): LockingStatus {
    if (!(this.#given instanceof EmbeddedLocks)) {
      return { kind: "backend", ...this.#resilient.status };
    }
    const { status } = this.seat;
    return status ? { kind: "embedded", ...status } : { kind: "none" };
  }

  /** `engine` is where the replica is durable. @throws see `Seat.start` */
  async start(engine: StorageEngine | undefined): Promise<void> {
    if (!engine) return this.seat.start();
    const witness = await witnessOf(this.#replica);
    return this.seat.start({ engine, witness, isExclusive: isExclusive(this.#replica) });
  }

  /** Gives back what is held, while the links stand. Who holds a lock and does not let go is not waited for. */
  async leave(): Promise<void> {
    const { environment } = this.#options;
    const atRest = Promise.all([this.named.close(), this.updates.close()]);
    const late = new Promise<void>((resolve) => {
      const timer = environment.schedule(leaveMsMax, resolve);
      void atRest.finally(() => timer.cancel());
    });
    await Promise.race([atRest, late]);
    await this.backend[Symbol.asyncDispose]();
  }

  /** Resolves when nothing of it is at work, after the links have ended. */
  close(): Promise<void> {
    return this.seat.close();
  }
}

function ambitionOf({ listen, peers = [] }: ReplicaOptions<Schema>, locks: LockBackend): Ambition {
  if (!(locks instanceof EmbeddedLocks)) return "never";
  if (locks.isHost) return "at-once";
  return listen === undefined && peers.length === 0 ? "alone" : "never";
}
