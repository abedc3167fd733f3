/**
 * What of a replica may have to wait for others: guarded values, and the collections of the schema whose
 * operations pass through them. It composes what stands in `escalate/`; nothing there knows of the links.
 */
import { createHash } from "node:crypto";
import type { BoundedCounterType } from "./crdt/bounded-counter.ts";
import type { DataType } from "./crdt/data-type.ts";
import type { FencedRegisterType } from "./crdt/fenced-register.ts";
import type { Environment } from "./environment.ts";
import { EscalatedCalls } from "./escalate/escalated-calls.ts";
import { FencedRegisterCollection } from "./escalate/collections/fenced-registers.ts";
import { UniqueClaimsCollection } from "./escalate/collections/unique-claims.ts";
import { PoolStrategy } from "./escalate/escrow/pool-strategy.ts";
import { Escrow, type EscrowStorage, type RightsStatus } from "./escalate/escrow.ts";
import { Births } from "./escalate/fenced/births.ts";
import { FencedWatch, sightingsOfOthers } from "./escalate/fenced/fenced-watch.ts";
import { KeptBirth } from "./escalate/fenced/kept-birth.ts";
import { FencedValues } from "./escalate/fenced.ts";
import type { PoolSighting } from "./escalate/escrow/pool-sightings.ts";
import { GuardedUpdates } from "./escalate/guarded-updates.ts";
import { byHeat, type LaneFigure } from "./escalate/lane-figures.ts";
import type { LockFigure, LockTotals } from "./escalate/lock-figures.ts";
import { NamedLocks, type OnFailure } from "./escalate/named-locks.ts";
import { Parts } from "./escalate/coordination/parts.ts";
import { OutsideLocks } from "./escalate/outside-locks.ts";
import { RecentSightings, RollbackWatch } from "./escalate/rollback-watch.ts";
import type { Locking } from "./locking.ts";
import type { Conflict } from "./store/conflicts.ts";
import type { Keyspace } from "./store/keyspace.ts";
import type { Root } from "./store/nodes.ts";
import type { Logger, Telemetry } from "./telemetry.ts";

/** Keeps what failed. */
export interface FailureMemory {
  /** A lock was not granted or was lost, or an update was refused. Never throws. */
  failed(kind: "lock" | "update", resource: string, error: unknown): void;
}

/** What it is made of. */
export interface EscalationOptions {
  /** Of the replica, for people. */
  readonly name: string;
  readonly keyspace: Keyspace;
  readonly locking: Locking;
  readonly environment: Environment;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Lines of the log may name keys. */
  readonly logKeys: boolean;
  readonly onConflict: (conflict: Conflict) => void;
  readonly activity: FailureMemory;
  /** Somebody should see to this. */
  readonly onWarning: (message: string) => void;
}

/** What there is to look at. */
export interface EscalationFigures {
  readonly locks: { readonly totals: LockTotals; readonly latest: readonly LockFigure[] };
  /** Values that are contended, the hottest first. */
  readonly hotSpots: readonly LaneFigure[];
  /** Rights by holder. */
  readonly pools: readonly PoolSighting[];
}

/** What is counted of it. */
export interface EscalationCounts {
  /** Of guards: those of fenced values, and the pools of rights. */
  readonly updates: Readonly<Record<"values" | "rights", GuardedUpdates["counts"]>>;
  readonly locks: NamedLocks["counts"];
  readonly rights: Escrow["figures"];
}

/** How long closing waits for those who hold locks, in ms. */
const leaveMsMax = 2_000;

const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();

/** The guarded half of one replica, from its opening to its end. */
export class Escalation {
  readonly fenced: FencedValues;
  readonly escrow: Escrow;
  /** For what stands outside Trellis. */
  readonly locks: OutsideLocks;
  readonly #options: EscalationOptions;
  readonly #birth: KeptBirth;
  readonly #watch: FencedWatch;
  readonly #updates: GuardedUpdates;
  /** Of pools and keys of rights. */
  readonly #poolUpdates: GuardedUpdates;
  readonly #named: NamedLocks;

  constructor(options: EscalationOptions) {
    const { locking, environment, logger, telemetry } = options;
    this.#options = options;
    this.#birth = new KeptBirth((err) => {
      logger.error({ err }, "which lock store is known cannot be recorded");
    });
    const births = new Births(this.#birth, environment);
    const sightings = sightingsOfOthers(new RecentSightings());
    const rollbacks = new RollbackWatch(locking.backend, sightings);
    this.#watch = new FencedWatch(rollbacks, { environment, births });
    const failed =
      (kind: "lock" | "update"): OnFailure =>
      (resource, error) =>
        options.activity.failed(kind, resource, error);
    const update = failed("update");
    this.#updates = new GuardedUpdates(this.#watch, environment, undefined, telemetry, update);
    this.#named = new NamedLocks(this.#watch, environment, telemetry, failed("lock"));
    this.locks = new OutsideLocks(
      new Parts(this.#watch, this.#named, environment),
      new EscalatedCalls(options),
    );
    this.fenced = new FencedValues({
      ...options,
      ...{ watch: this.#watch, births, updates: this.#updates, locks: this.#named, hash: sha256 },
      isAway: () => locking.isAway,
    });
    const seldom = (): PoolStrategy => new PoolStrategy(environment);
    this.#poolUpdates = new GuardedUpdates(this.#watch, environment, seldom, telemetry, update);
    this.escrow = new Escrow({ ...options, backend: this.#watch, updates: this.#poolUpdates });
  }

  /** What to show of rights. */
  get rights(): readonly RightsStatus[] {
    return this.escrow.status;
  }

  /** Locks, contention and rights, for those who look: at most `count` of each. O(values that were changed). */
  figures(count: number): EscalationFigures {
    const { totals } = this.#named.figures;
    const hotSpots = [this.#updates, this.#poolUpdates].flatMap((all) => all.hotSpots(count));
    return {
      locks: { totals, latest: this.#named.figures.latest(count) },
      hotSpots: hotSpots.toSorted(byHeat).slice(0, count),
      pools: this.escrow.sightings.latest(count),
    };
  }

  /** What there is to count. O(counters and guards that were used here). */
  get counts(): EscalationCounts {
    return {
      updates: { values: this.#updates.counts, rights: this.#poolUpdates.counts },
      locks: this.#named.counts,
      rights: this.escrow.figures,
    };
  }

  /** The collection of a guarded type; `undefined` for any other. */
  open(root: Root, type: DataType): unknown {
    const { kind } = type as { readonly kind?: unknown };
    switch (kind) {
      case "bounded-counter":
        return this.escrow.collection(root, type as BoundedCounterType);
      case "fenced-register":
        return new FencedRegisterCollection(this.fenced, root, type as FencedRegisterType);
      case "unique-claims":
        return new UniqueClaimsCollection(this.fenced, root);
      default:
        return undefined;
    }
  }

  /** `storage` is where the replica is durable. @throws CorruptStorageError */
  async start(storage: EscrowStorage | undefined): Promise<void> {
    await this.#birth.load(storage?.engine);
    await this.escrow.start(storage);
  }

  /** Gives back what is held, while the links stand. Who holds a lock and does not let go is not waited for. */
  async leave(): Promise<void> {
    await this.escrow.leave();
    const { environment } = this.#options;
    const atRest = Promise.all([
      this.#named.close(),
      this.#updates.close(),
      this.#poolUpdates.close(),
    ]);
    const late = new Promise<void>((resolve) => {
      const timer = environment.schedule(leaveMsMax, resolve);
      void atRest.finally(() => timer.cancel());
    });
    await Promise.race([atRest, late]);
    await this.#watch[Symbol.asyncDispose]();
    await this.#birth.rest();
  }
}
