/**
 * Bounded counters without coordination, as far as rights go: the distance to a bound is divided into rights,
 * a replica takes some of them from a pool in the strong store, and spends them by itself. This is what a
 * replica opens once; what it is made of is in `escrow/`.
 *
 *   pool -> contact -> holding -> own disk -> keyspace
 *
 * Every opening is a new holder of rights. What the last one left in the directory is returned or held: see
 * `escrow/former-holders.ts`.
 */
import type { BoundedCounterType } from "../crdt/bounded-counter.ts";
import type { Environment } from "../environment.ts";
import { ClosedError, UsageError } from "../errors.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { Root } from "../store/nodes.ts";
import type { Logger, Telemetry } from "../telemetry.ts";
import { EscalatedCalls, errorFields } from "./escalated-calls.ts";
import { BoundedCounterCollection } from "./collections/bounded-counters.ts";
import { Counters, type Opened } from "./escrow/counters.ts";
import { KeyspaceFigures } from "./escrow/figures.ts";
import { FormerHolders } from "./escrow/former-holders.ts";
import { newHolderId } from "./escrow/holder-id.ts";
import { type Holding, shownOf } from "./escrow/holding.ts";
import { IdleLooks } from "./escrow/idle-looks.ts";
import { KeyedChanges } from "./escrow/keyed.ts";
import { leaveAll } from "./escrow/leaving.ts";
import {
  type EscrowStorage,
  judgeDirectory,
  type JudgedDirectory,
  type JudgedHolding,
} from "./escrow/opening.ts";
import { PoolSightings } from "./escrow/pool-sightings.ts";
import { Recall } from "./escrow/recall.ts";
import { RightsJournal } from "./escrow/rights-journal.ts";
import { figuresOf, type RightsFigures } from "./escrow/rights-figures.ts";
import { type RightsStatus, statusOf } from "./escrow/rights-status.ts";
import type { GuardedUpdates } from "./guarded-updates.ts";
import type { LockBackend } from "./locks.ts";

export type { EscrowStorage } from "./escrow/opening.ts";
export type { RightsStatus } from "./escrow/rights-status.ts";

/** What it is made of. */
export interface EscrowOptions {
  readonly environment: Environment;
  /** Of this replica, for people. */
  readonly name: string;
  readonly keyspace: Keyspace;
  readonly backend: LockBackend;
  readonly updates: GuardedUpdates;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Lines of the log may name keys. Default false. */
  readonly logKeys?: boolean;
  /** Somebody should see to this. */
  readonly onWarning: (message: string) => void;
}

/** The rights of one replica. */
export class Escrow {
  /** A service of the links. */
  readonly service: Recall;
  /** What is known of the holders of other replicas. */
  readonly sightings: PoolSightings = new PoolSightings();
  readonly #options: EscrowOptions;
  readonly #collections = new Map<string, Counters>();
  readonly #idle: IdleLooks;
  #opened: (Opened & { readonly journal: RightsJournal }) | undefined;
  #former: FormerHolders | undefined;
  #birth: Promise<string> | undefined;
  /** What is left of earlier openings in collections that are not opened, by their names. */
  readonly #unopened = new Map<string, JudgedHolding[]>();
  #why: string | undefined;
  #isClosed = false;

  constructor(options: EscrowOptions) {
    this.#options = options;

    this.service = new Recall({
      wanted: ({ collection, key }) => this.#collections.get(collection)?.find(key)?.recalled(),
      given: ({ collection, key }, by) =>
        this.#collections.get(collection)?.find(key)?.heardGiven(by),
    });
    this.#idle = new IdleLooks(options.environment, () => this.service.isLinked);
  }

  /** The collection of a schema's name. @throws UsageError for bounds that cannot be. */
  collection<Max extends number | undefined>(
    root: Root,
    type: BoundedCounterType<Max>,
  ): BoundedCounterCollection<Max> {
    checkBounds(root.name, type);
    const figures = new KeyspaceFigures(this.#options.keyspace, root);
    const counters = new Counters(root.name, type, figures, () => this.#assertOpened());
    this.#collections.set(root.name, counters);
    // Opened late: the directory has been read, and nobody knew the collection.
    this.#settle(this.#unopened.get(root.name) ?? []);
    this.#unopened.delete(root.name);
    return new BoundedCounterCollection<Max>(counters);
  }

  /**
   * Reads what is left of earlier openings where this replica is durable, if it is. Asks nobody.
   * @throws CorruptStorageError
   */
  async start(storage?: EscrowStorage): Promise<void> {
    const { environment, updates, name, logger, telemetry, onWarning } = this.#options;
    const directory = await judgeDirectory(environment, storage);
    const journal = new RightsJournal({
      ...{ environment, engine: storage?.engine, directory, stand: directory.stand },
      onWritten: (holding, kept) =>
        this.#collections.get(holding.collection)?.written(holding, kept),
      onRefused: (failure) => {
        logger.error({ err: failure }, "the disk refuses what is spent");
        onWarning(failure.message);
      },
    });
    const keyed = new KeyedChanges({ environment, updates, journal });
    this.#former = new FormerHolders({ environment, journal, keyed, onWarning });
    this.#opened = {
      ...{ holder: newHolderId(environment), isDurable: storage !== undefined, journal, keyed },
      telemetry,
      surroundings: {
        ...{ environment, name, updates, journal, birth: () => this.#birthOfStore() },
        calls: new EscalatedCalls(this.#options),
        onSeen: (holding, pool) => this.sightings.saw(holding, pool, environment.now()),
        onStopped: (holding, why) => this.#stopped(holding, why),
      },
      recall: ({ name: collection }, key) => this.#recalled(collection, key),
      given: ({ name: collection }, key, by) => this.service.give({ collection, key }, by),
      onMade: (contact) => this.#idle.add(contact),
    };
    this.#takeIn(directory, journal);
  }

  /** What to show. O(counters that were used here). */
  get status(): readonly RightsStatus[] {
    return statusOf(this.#collections.values(), this.#former?.left ?? []);
  }

  /** What there is to count. O(counters that were used here). */
  get figures(): {
    readonly collections: readonly RightsFigures[];
    readonly repetitions: number;
  } {
    const collections = figuresOf(this.#collections.values(), this.#former?.left ?? []);
    return { collections, repetitions: this.#opened?.keyed.repetitions ?? 0 };
  }

  /** Gives all rights back, in bounded time: before the links end and the storage is closed. Twice is harmless. */
  async leave(): Promise<void> {
    const opened = this.#opened;
    if (this.#isClosed || !opened || !this.#former) return;
    this.#isClosed = true;
    this.#idle.close();
    const { environment, logger, logKeys = false } = this.#options;
    await leaveAll({
      ...{ environment, logger, logKeys, journal: opened.journal, keyed: opened.keyed },
      former: this.#former,
      collections: [...this.#collections.values()],
    });
  }

  /** What earlier openings left: shown to peers, and returned or held. */
  #takeIn({ found, why }: JudgedDirectory, journal: RightsJournal): void {
    this.#why = why;
    const opened: JudgedHolding[] = [];
    for (const former of found) {
      if (former.isChanged) journal.rewrite(former);
      const { collection } = former;
      if (this.#collections.has(collection)) opened.push(former);
      else if (!this.#unopened.get(collection)?.push(former)) {
        this.#unopened.set(collection, [former]);
      }
    }
    this.#settle(opened);
  }

  #settle(found: readonly JudgedHolding[]): void {
    let held = 0;
    for (const former of found) {
      const counters = this.#collections.get(former.collection);
      if (!counters) continue;
      const { key, holder, kept } = former;
      counters.figures.show(key, holder, shownOf(kept));
      const contact = counters.restored(key, holder);
      contact.holding.restore(kept, kept.state, new ClosedError("this holder is at an end"));
      const onClosed = (): void =>
        counters.figures.show(key, holder, { ...shownOf(contact.holding.kept), phase: 2 });
      this.#former?.add({ holding: contact.holding, contact, onClosed });
      if (kept.state === "held") held++;
    }
    if (held === 0) return;
    this.#warn(
      `rights of ${held} counters are held: this directory was not closed, and ${this.#why ?? "it was held before"}. ` +
        "They are spent by nobody until it is opened with storage.exclusive, or they are reclaimed",
    );
  }

  #recalled(collection: string, key: string): void {
    this.service.want({ collection, key });
  }

  #stopped({ collection, key }: Holding, why: Error): void {
    const { logger, logKeys = false } = this.#options;
    const fields = { collection, ...(logKeys ? { key } : {}), ...errorFields(why, logKeys) };
    logger.error(fields, "rights are not spent any more");
    this.#warn(why.message);
  }

  #warn(message: string): void {
    this.#options.onWarning(message);
  }

  /** Asked once: a client refuses a store of another birth from then on. */
  #birthOfStore(): Promise<string> {
    this.#birth ??= this.#options.backend.birth().catch((error: unknown) => {
      this.#birth = undefined;
      throw error;
    });
    return this.#birth;
  }

  #assertOpened(): Opened {
    if (this.#isClosed) throw new ClosedError("the replica is closed");
    if (!this.#opened) throw new Error("assertion: rights are used before the replica is open");
    return this.#opened;
  }
}

function checkBounds(collection: string, { min, max, initial }: BoundedCounterType): void {
  const isInteger = [min, max ?? min, initial].every((bound) => Number.isSafeInteger(bound));
  const isOrdered = min <= initial && initial <= (max ?? initial);
  const isNear = Number.isSafeInteger((max ?? initial) - min);
  if (isInteger && isOrdered && isNear) return;
  throw new UsageError(
    `${JSON.stringify(collection)}: the bounds of a counter are safe integers, min <= initial <= max, ` +
      `not ${JSON.stringify({ min, max, initial })}`,
  );
}
