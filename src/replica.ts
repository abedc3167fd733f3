/**
 * A replica, as a service embeds it: a keyspace, its links, and what waits on both.
 */
import { type AnyCollection, AnyCollections, type CollectionEntry } from "./any-collection.ts";
import type { DataType } from "./crdt/data-type.ts";
import { VersionVector } from "./crdt/version-vector.ts";
import { documentWarnings } from "./document-warnings.ts";
import { Durability, syncs } from "./durability.ts";
import { type Environment, systemEnvironment } from "./environment.ts";
import { UsageError } from "./errors.ts";
import type { EscalateOptions, FencedSection } from "./escalate/fenced/sections.ts";
import type { Adopted } from "./escalate/fenced/adoption.ts";
import type { FencedHandle } from "./escalate/fenced/fenced-target.ts";
import type { Adoptable } from "./escalate/fenced.ts";
import type { OutsideLocks } from "./escalate/outside-locks.ts";
import { explain, type Explanation } from "./escalate/policy.ts";
import { Escalation } from "./escalation.ts";
import { Events } from "./events.ts";
import { Forgetter } from "./forgetter.ts";
import { Activity, type ActivitySource } from "./insight/activity.ts";
import { Locking } from "./locking.ts";
import { collectFigures } from "./replica-figures.ts";
import { replicaLogger } from "./replica-logger.ts";
import { optional, type PeerOption, type ReplicaOptions } from "./replica-options.ts";
import type { ReplicaEvents, ReplicaStatus } from "./replica-status.ts";
import { statusOf } from "./status-of.ts";
import type { Collections } from "./collections.ts";
import { type LastStop, lastStopOf } from "./last-stop.ts";
import { Tidings } from "./received.ts";
import { ServedDocuments } from "./served-documents.ts";
import { Exchanges } from "./store/exchanges.ts";
import type { FrameLimits } from "./store/frame.ts";
import { Keyspace } from "./store/keyspace.ts";
import type { Schema } from "./store/schema.ts";
import { Upkeep } from "./store/upkeep.ts";
import { versionToken } from "./store/version-token.ts";
import { type WaitOptions, Waiting } from "./store/waiting.ts";
import { type Watcher, Watchers, type WatchOptions } from "./store/watch.ts";
import { defaultPeerSilentMsMax } from "./sync/peer-memory.ts";
import { settled } from "./sync/settled.ts";
import { Sync } from "./sync/sync.ts";
import type { Address, Door, HttpHandler } from "./door.ts";
import type { Transport } from "./sync/transport.ts";
import { webSocketTransport } from "./sync/transport/websocket.ts";
import { type AcknowledgedOptions, Versions } from "./versions.ts";
import { rightsStorageOf } from "./witnesses.ts";
import type { Logger, Telemetry } from "./telemetry.ts";
import { harmless } from "./telemetry/harmless.ts";

const nothing = new VersionVector();

/** A replica. Every call after `close` throws `ClosedError`. */
export class Replica<S extends Schema> implements AsyncDisposable {
  /** The collections of the schema. */
  readonly collections: Collections<S>;
  /** Locks for what stands outside Trellis. */
  readonly locks: OutsideLocks;
  /** What it does, for tools that look at it: see `trellis-state/http`. */
  readonly activity: Activity;
  readonly #name: string;
  readonly #environment: Environment;
  readonly #keyspace: Keyspace;
  readonly #sync: Sync;
  readonly #any: AnyCollections;
  readonly #options: ReplicaOptions<S>;
  readonly #locking: Locking;
  readonly #escalation: Escalation;
  #durability: Durability | undefined;
  readonly #upkeep: Upkeep;
  readonly #watchers: Watchers;
  readonly #waiting: Waiting;
  readonly #logger: Logger;
  readonly #telemetry: Telemetry;
  readonly #events: Events;
  readonly #versions: Versions;
  readonly #forgetter: Forgetter;
  readonly #tidings: Tidings;
  readonly #documents: ServedDocuments;
  #endFigures: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** `limits` are for tests: smaller frames make more series. */
  constructor(options: ReplicaOptions<S>, limits?: FrameLimits) {
    const environment = options.environment ?? systemEnvironment;
    this.#options = options;
    this.#name = options.name ?? "replica";
    this.#environment = environment;
    this.#logger = replicaLogger(options, environment);
    this.#telemetry = harmless(options.telemetry, this.#logger);
    this.#keyspace = new Keyspace({
      schema: options.schema,
      environment,
      ...optional("clockAheadMsMax", options.clockAheadMsMax),
      ...optional("logEntriesMax", options.retention?.logEntriesMax),
    });
    const escalation: ActivitySource = (count) => this.#escalation.figures(count);
    this.activity = new Activity({ keyspace: this.#keyspace, environment, escalation });
    this.#events = new Events(environment, this.#logger, this.activity);
    this.#waiting = new Waiting(environment);
    this.#versions = new Versions({
      ...{ keyspace: this.#keyspace, waiting: this.#waiting },
      ...{ environment, telemetry: this.#telemetry },
      members: () => this.#sync.members,
      durability: () => this.#durability,
    });
    this.#watchers = new Watchers(this.#keyspace, () => versionToken(this.#keyspace));
    this.#locking = new Locking({
      ...{ replica: options, name: this.#name, environment },
      ...{ logger: this.#logger, telemetry: this.#telemetry },
      onWarning: (message) => this.#events.tell("warning", { kind: "lock-authority", message }),
    });
    this.#escalation = new Escalation({
      ...{ name: this.#name, keyspace: this.#keyspace, locking: this.#locking, environment },
      ...{ logger: this.#logger, telemetry: this.#telemetry, logKeys: options.logKeys ?? false },
      onConflict: (conflict) => this.#events.tell("conflict", conflict),
      activity: this.activity,
      onWarning: (message) => this.#events.tell("warning", { kind: "rights", message }),
    });
    this.locks = this.#escalation.locks;
    this.#upkeep = new Upkeep(this.#keyspace, () => settled(this.#sync));
    const told = { events: this.#events, telemetry: this.#telemetry, logger: this.#logger };
    this.#any = new AnyCollections({
      ...{ keyspace: this.#keyspace, schema: options.schema },
      opening: {
        ...{ other: this.#escalation.open.bind(this.#escalation), upkeep: this.#upkeep },
        documents: documentWarnings(this.#events, this.#logger, this.#telemetry),
      },
      accept: this.#locking.accept.bind(this.#locking),
    });
    this.collections = this.#any.ofSchema as Collections<S>;
    this.#tidings = new Tidings({ keyspace: this.#keyspace, schema: options.schema, ...told });
    this.#documents = new ServedDocuments(options.documents, { environment, ...told });
    this.#sync = new Sync({
      ...{ keyspace: this.#keyspace, environment, name: this.#name },
      ...{ logger: this.#logger, telemetry: this.#telemetry },
      exchanges: new Exchanges(this.#keyspace, limits),
      transport: options.environment?.network ?? this.#network(),
      services: [
        ...[this.#locking.seat, this.#escalation.escrow.service, ...this.#documents.services],
      ],
      peers: options.peers ?? [],
      ...{ onReceived: this.#tidings.received, onForked: this.#tidings.forked },
      onLink: (event) => this.activity.linked(event),
      onChange: () => this.#changed(),
      ...(syncs(options.storage) ? { durable: () => this.#durability?.durable ?? nothing } : {}),
      ...optional("listen", options.listen),
      ...optional("clockAheadMsMax", options.clockAheadMsMax),
      ...optional("peerSilentMsMax", options.retention?.peerSilentMsMax),
    });
    this.#forgetter = new Forgetter({
      ...{ keyspace: this.#keyspace, environment },
      passed: () => this.#sync.passed(),
      peerSilentMsMax: options.retention?.peerSilentMsMax ?? defaultPeerSilentMsMax,
    });
    this.#keyspace.listeners.add({
      flushed: this.#flushed.bind(this),
      joined: this.#joined.bind(this),
    });
  }

  /** Reads the storage, listens and begins to dial. Called by `openReplica`. */
  async start(): Promise<void> {
    const { storage } = this.#options;
    if (storage !== undefined) {
      this.#durability = await Durability.open({
        storage,
        keyspace: this.#keyspace,
        environment: this.#environment,
        waiting: this.#waiting,
        logger: this.#logger,
        telemetry: this.#options.telemetry && this.#telemetry,
        peers: () => this.#sync.knownPeers(),
        onRefused: (message) => this.#events.tell("warning", { kind: "not-durable", message }),
        onChange: () => this.#stored(),
      });
      this.#sync.memory.remind(this.#durability.peers);
      this.#changed();
    }
    try {
      await this.#locking.start(this.#durability?.engine);
      const engine = this.#durability?.engine;
      await this.#escalation.start(engine && (await rightsStorageOf(this.#options, engine)));
      await this.#documents.load((name, type) => this.#any.open(name, type));
      await this.#sync.start();
      this.#documents.serve(this.#sync.door);
      this.#endFigures = collectFigures(this.#telemetry, {
        ...{ environment: this.#environment, keyspace: this.#keyspace, sync: this.#sync },
        ...{ locking: this.#locking, escalation: this.#escalation, versions: this.#versions },
        durability: this.#durability,
      });
      this.#any.follow();
      this.#upkeep.start(this.#durability?.former);
    } catch (error) {
      await this.#documents.close();
      await this.#locking.close();
      await this.#durability?.close();
      throw error;
    }
  }

  /**
   * Who takes the HTTP requests that come to our port, after the door has bounded them; see `trellis-state/http`.
   * @throws UsageError without `listen`
   */
  serve(handler: HttpHandler): void {
    this.#assertOpen("serve");
    this.door.serve(handler);
  }

  /** The port that we listen at. @throws UsageError without `listen` */
  get door(): Door {
    const { door } = this.#sync;
    if (door === undefined) throw new UsageError("there is no port: the replica does not listen");
    return door;
  }

  #network(): Transport {
    const telemetry = this.activity.listening(this.#telemetry);
    return webSocketTransport(this.#environment, { telemetry, logger: this.#logger });
  }

  /** The bound host and port; undefined if the replica only dials. */
  get address(): Address | undefined {
    return this.#sync.address;
  }

  /**
   * Runs `writes` as one atomic, causally ordered unit: others see all of it or nothing.
   * @throws whatever it throws, and then nothing of it remains; UsageError if it returns a promise;
   * OverloadedError beyond 16 MiB.
   */
  transact<T>(writes: () => T): T {
    return this.#keyspace.transact(writes);
  }

  /**
   * Runs `run` over several fenced values and commits what it sets in one atomic step. It runs at most once a
   * grant, and again if it was overtaken, until `waitMs` (default 5,000) is over. See `FencedSection` for what
   * it works with; what it does outside has to be made safe there, with `tokens` or `operationId`.
   * @throws what `run` throws, and then nothing is written; LockTimeoutError not granted in time;
   * StaleTokenError, LeaseLostError, ConflictError overtaken: nothing was written, but `run` ran;
   * UnknownOutcomeError it may have been committed: with an `idempotencyKey`, ask again; OverloadedError,
   * LockUnavailableError, StoreRolledBackError, UsageError nothing was written.
   */
  escalate<const H extends readonly FencedHandle[], R>(
    handles: H,
    run: (section: FencedSection<H>) => R | Promise<R>,
    options?: EscalateOptions,
  ): Promise<R> {
    return this.#escalation.fenced.escalate(handles, run, options);
  }

  /**
   * Takes the lock store for the right one, though it was wiped, restored or replaced, and everything that is
   * guarded was refused since (`StoreRolledBackError`). For an operator who has found out why: what had been
   * committed there and is known to no replica is lost. Every fenced value goes back to the newest copy that is
   * here, in a new lineage, above all tokens and versions that were seen.
   * @throws LockUnavailableError, UsageError
   */
  adoptStore(which: Adoptable = {}): Promise<Adopted> {
    return this.#escalation.fenced.adopt(which);
  }

  /** What is held now, as text that `waitFor` understands on any replica. O(actors). */
  version(): string {
    this.#assertOpen("version");
    return this.#versions.now();
  }

  /**
   * What was written here last, and all that it was written upon, as `version` has it: shorter, since a
   * write is held nowhere without its causes. O(1).
   */
  written(): string {
    this.#assertOpen("written");
    return this.#versions.written();
  }

  /** How the run before this one ended, and who may know more of it than our disk. */
  get lastStop(): LastStop {
    return lastStopOf(this.#durability, this.#options.peers ?? []);
  }

  /**
   * Resolves when this replica holds all that `version` stands for.
   * @throws VersionLostError at once when a part of it was written by an actor that has ended, and no
   * known member holds it; WaitTimeoutError after `timeoutMs` (default 10,000), the signal's reason.
   */
  async waitFor(version: string, options: WaitOptions = {}): Promise<void> {
    this.#assertOpen("waitFor");
    await this.#versions.waitFor(version, options);
  }

  /**
   * Resolves when so many have all that `version` stands for: on their disks, but a replica without
   * storage, which has it in memory only.
   * @throws WaitTimeoutError, the signal's reason; for `"durable"` StorageError when the disk refuses,
   * UsageError without storage.
   */
  async acknowledged(version: string, options: AcknowledgedOptions): Promise<void> {
    this.#assertOpen("acknowledged");
    await this.#versions.acknowledged(version, options);
  }

  /**
   * Resolves when every configured peer has brought us to what it held when it was connected.
   * @throws WaitTimeoutError after `timeoutMs` (default 10,000), the signal's reason.
   */
  async synced(options: WaitOptions = {}): Promise<void> {
    this.#assertOpen("synced");
    await this.#waiting.until(() => this.#sync.members.isSynced, "synchronising", options);
  }

  /**
   * The collection of that name, whether it is in the schema or peers brought it; undefined if there is
   * none, or of a type that Trellis does not know. With `type` it is made if there is none.
   * @throws SchemaMismatchError it has another type; UsageError the locks promise too little for it.
   */
  collection(name: string, type?: DataType): AnyCollection | undefined {
    this.#assertOpen("collection");
    return this.#any.open(name, type);
  }

  /** All collections that are held, those of peers included. O(collections). */
  inventory(): CollectionEntry[] {
    this.#assertOpen("inventory");
    return this.#any.list();
  }

  /** Tells changes of one collection, whole batches, after they took effect. */
  watch(collection: keyof S & string, options: WatchOptions = {}): Watcher {
    this.#assertOpen("watch");
    const root = this.#keyspace.nodes.root(collection);
    if (root === undefined) throw new UsageError(`no collection ${JSON.stringify(collection)}`);
    return this.#watchers.watch(root.index, options);
  }

  /** Calls `listener` for each event, after the fact; returns a function that ends it. */
  on<E extends keyof ReplicaEvents>(
    event: E,
    listener: (told: ReplicaEvents[E]) => void,
  ): () => void {
    this.#assertOpen("on");
    return this.#events.on(event, listener);
  }

  /** Dials one more peer, and again whenever the link breaks. */
  addPeer(peer: PeerOption): void {
    this.#assertOpen("addPeer");
    this.#sync.addPeer(peer);
  }

  /** Ends the link to a peer that was dialed, and dials it no more. */
  removePeer(url: string): void {
    this.#assertOpen("removePeer");
    this.#sync.removePeer(url);
  }

  /** What each operation needs, and why. */
  explain(): Explanation[] {
    return Object.entries(this.#options.schema).flatMap(([name, type]) => explain(name, type));
  }

  /** Peers, lag, bytes, clock, keys: what tools show. O(peers x actors). */
  status(): ReplicaStatus {
    this.#assertOpen("status");
    return statusOf({
      ...{ name: this.#name, environment: this.#environment, keyspace: this.#keyspace },
      ...{ sync: this.#sync, locking: this.#locking, escalation: this.#escalation },
      ...{ durability: this.#durability, forks: this.#tidings.forks, keys: this.#upkeep.keys() },
    });
  }

  /** Flushes, sends what is left, says goodbye. Closing twice is harmless. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const clientsGone = this.#documents.close();
    this.#keyspace.seal();
    this.#upkeep.stop();
    this.#forgetter.stop();
    this.#waiting.close();
    this.#watchers.close();
    await this.#escalation.leave();
    this.#keyspace.close();
    await clientsGone;
    await this.#sync.close();
    await this.#locking.close();
    await this.#durability?.close();
    this.#endFigures?.();
  }

  #flushed(): void {
    this.#watchers.flushed();
    // Nobody waits for what is written here: it is there at once.
    this.#forgetter.soon();
  }

  #joined(slots: readonly number[]): void {
    this.#watchers.joined(slots);
    this.#any.follow();
    this.#changed();
  }

  /** Tokens of an open batch would name nothing, so these are not for inside a transaction. */
  #assertOpen(call: string): void {
    this.#keyspace.assertOpen();
    if (this.#keyspace.isTransacting && call !== "on") {
      throw new UsageError(`${call} cannot be called inside a transaction`);
    }
  }

  /** The disk has more. */
  #stored(): void {
    this.#sync.stored();
    this.#waiting.check();
  }

  #changed(): void {
    this.#waiting.check();
    this.#forgetter.soon();
  }
}
