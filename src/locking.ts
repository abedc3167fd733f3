/**
 * The locks of a replica: its seat among the lock authority's, and the backend that was given or the embedded
 * one, behind a deadline, a circuit and a bulkhead.
 */
import type { DataType } from "./crdt/data-type.ts";
import type { Environment } from "./environment.ts";
import { UsageError } from "./errors.ts";
import { type Ambition, Seat, type SeatStatus } from "./escalate/embedded/seat.ts";
import type { LockBackend, LockGuarantees } from "./escalate/locks.ts";
import { EmbeddedLocks } from "./escalate/locks/embedded.ts";
import { type BackendFigures, type BackendStatus, ResilientLocks } from "./escalate/resilience.ts";
import type { ReplicaOptions } from "./replica-options.ts";
import type { Schema } from "./store/schema.ts";
import type { StorageEngine } from "./store/storage.ts";
import type { Logger, Telemetry } from "./telemetry.ts";
import { isExclusive, witnessOf } from "./witnesses.ts";

/** What it is made of. */
export interface LockingOptions {
  readonly replica: ReplicaOptions<Schema>;
  readonly name: string;
  readonly environment: Environment;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
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

/** Locks, from the opening of a replica to its end. */
export class Locking {
  /** A service of the links. */
  readonly seat: Seat;
  /** What escalated operations go through. Disposed of by who uses it. */
  readonly backend: LockBackend;
  readonly #given: LockBackend;
  readonly #resilient: ResilientLocks;
  readonly #replica: ReplicaOptions<Schema>;
  readonly #ambition: Ambition;

  /** @throws UsageError if another replica has these locks, or they promise less than the schema needs. */
  constructor({ replica, ...options }: LockingOptions) {
    const { environment } = options;
    this.#replica = replica;
    const given = replica.locks ?? new EmbeddedLocks({ environment });
    this.#given = given;
    const ambition = ambitionOf(replica, given);
    this.#ambition = ambition;
    this.#check(replica.schema);
    this.seat = new Seat({ ...options, ambition });
    if (given instanceof EmbeddedLocks) given.attach(this.seat, needsDurable(replica.schema));
    this.#resilient = new ResilientLocks(given, environment, options.telemetry);
    this.backend = this.#resilient;
  }

  /** A collection that the schema does not have is opened. @throws UsageError if the locks promise too little for it. */
  accept(name: string, type: DataType): void {
    this.#check({ [name]: type });
    if (this.#given instanceof EmbeddedLocks && needsDurable({ [name]: type })) {
      this.#given.needDurable();
    }
  }

  /** @throws UsageError */
  #check(schema: Schema): void {
    const { guarantees } = this.#given;
    // Another replica's authority is known when it is met.
    if (!(this.#given instanceof EmbeddedLocks)) checkGuarantees(schema, guarantees);
    else if (this.#ambition !== "never" && this.#replica.storage === undefined) {
      checkGuarantees(schema, { ...guarantees, fencing: "until-restart" });
    }
  }

  /** What to show. */
  get status(): LockingStatus {
    if (!(this.#given instanceof EmbeddedLocks)) {
      return { kind: "backend", ...this.#resilient.status };
    }
    const { status } = this.seat;
    return status ? { kind: "embedded", ...status } : { kind: "none" };
  }

  /** What is counted of the backend. */
  get figures(): BackendFigures {
    return this.#resilient.figures;
  }

  /** It failed so often that it is not asked for a while. */
  get isAway(): boolean {
    return this.#resilient.status.calls === "open";
  }

  /** `engine` is where the replica is durable. @throws see `Seat.start` */
  async start(engine: StorageEngine | undefined): Promise<void> {
    if (!engine) return this.seat.start();
    const witness = await witnessOf(this.#replica);
    return this.seat.start({ engine, witness, isExclusive: isExclusive(this.#replica) });
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

/** Whether a type's rules rest on guards, and if they may rest on ones that can be forgotten. */
const isGuarded = (type: DataType): type is DataType & { readonly weakFence: boolean } =>
  "weakFence" in type;

const needsDurable = (schema: Schema): boolean =>
  Object.values(schema).some((type) => isGuarded(type) && !type.weakFence);

/** An invariant is refused where its fence may be forgotten, unless that was accepted by name. */
function checkGuarantees(
  schema: Schema,
  { fencing, isAdvisoryAccepted = false }: LockGuarantees,
): void {
  if (fencing === "durable") return;
  const why =
    fencing === "advisory"
      ? "these locks are advisory: their fences may go back while they run"
      : "these locks keep their fences in memory only (an embedded authority: open its replica with storage)";
  for (const [name, type] of Object.entries(schema)) {
    if (!isGuarded(type)) continue;
    if (!type.weakFence) {
      throw new UsageError(
        `collection ${JSON.stringify(name)} has a rule that must always hold, and ${why}. ` +
          "Use durable locks, or accept it for this collection with weakFence: true",
      );
    }
    if (fencing === "advisory" && !isAdvisoryAccepted) {
      throw new UsageError(
        `collection ${JSON.stringify(name)}: ${why}. Accept it with acceptAdvisory: true as well`,
      );
    }
  }
}
