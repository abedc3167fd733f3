/**
 * Keeps a replica's links: listens, dials, lets at most one link stand to each peer, and sees to it
 * that whatever changes goes out on all of them. There is no queue between a change and the links: they
 * are told that something changed, and make their frames from what is newest when there is room.
 */
import type { ActorId } from "../crdt/dot.ts";
import { defaultClockAheadMsMax } from "../crdt/hybrid-logical-clock.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Environment } from "../environment.ts";
import { ClosedError } from "../errors.ts";
import { Exchange, type Received } from "../store/exchange.ts";
import { fork } from "../store/fork.ts";
import type { KnownPeer } from "../store/known-peer.ts";
import type { Stage } from "../store/stage.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { KeyspaceListener } from "../store/keyspace-listener.ts";
import { type Logger, silentLogger, silentTelemetry, type Telemetry } from "../telemetry.ts";
import { CatchUps } from "./catch-up.ts";
import { mixedActor } from "./digest.ts";
import { Dialer } from "./dialer.ts";
import type { Forked } from "./forked.ts";
import { Farewell } from "./farewell.ts";
import { Greeter } from "./greeter.ts";
import { Link } from "./link.ts";
import { Members } from "./members.ts";
import { Obituaries } from "./obituary.ts";
import type { Admission, LinkOwner } from "./link-owner.ts";
import type { Hello, ServiceMessage } from "./message.ts";
import { defaultPeerSilentMsMax, PeerMemory } from "./peer-memory.ts";
import { Observers } from "./observers.ts";
import type { PeerView } from "./peer-view.ts";
import { isPreferred } from "./preference.ts";
import { tellLink } from "./link-event.ts";
import { logEnd, logStart } from "./link-log.ts";
import { isRefusal, leaving, type LinkEnd } from "./refusal.ts";
import { Services } from "./service.ts";
import type { SyncOptions } from "./sync-options.ts";
import type { Address, Door } from "../door.ts";
import type { Acceptor, Connection, DialTarget, Listener } from "./transport.ts";
import { PastTraffic, type SyncFigures } from "./traffic.ts";

export type { PeerState, PeerView } from "./peer-view.ts";
export type { SyncOptions } from "./sync-options.ts";

/** Links at a time that peers may open. */
export const defaultLinksMax = 1_024;
/** How long a link may be silent before it is asked whether it is there, in ms. */
export const defaultHeartbeatMs = 5_000;
/** How long closing waits for peers to take what is left, and again for connections to end, in ms. */
const closeMsMax = 1_000;

/** All links of one replica. */
export class Sync implements LinkOwner, KeyspaceListener {
  readonly #options: SyncOptions;
  readonly #keyspace: Keyspace;
  readonly #environment: Environment;
  readonly #logger: Logger;
  readonly #telemetry: Telemetry;
  readonly #greeter: Greeter;
  readonly #services: Services;
  readonly #observers: Observers;
  readonly #catchUps: CatchUps | undefined;
  readonly #links = new Set<Link>();
  /** Links that are over, whose connections still stand. */
  readonly #ending = new Set<Link>();
  readonly #past = new PastTraffic();
  /** By address. */
  readonly #dialers = new Map<string, Dialer>();
  /** The peers that are away. */
  readonly memory: PeerMemory;
  /** The replicas that we know. */
  readonly members: Members;
  readonly #farewell: Farewell;
  readonly #obituaries: Obituaries;
  readonly #targets: readonly DialTarget[];
  #listener: Listener | undefined;
  #linksBegun = 0;
  #pumpsLater = false;
  #tellsLater = false;
  #isStarted = false;
  #closing: Promise<void> | undefined;

  /** @throws UsageError for a peer that cannot be dialed. */
  constructor(options: SyncOptions) {
    const { keyspace, environment } = options;
    this.#options = options;
    this.#keyspace = keyspace;
    this.#environment = environment;
    this.#farewell = new Farewell(environment);
    this.#obituaries = new Obituaries(keyspace.endings, environment, (messages) => {
      for (const link of this.#links) link.tell(messages);
      this.#tell();
    });
    this.#logger = options.logger ?? silentLogger;
    this.#telemetry = options.telemetry ?? silentTelemetry;
    const { tracer } = this.#telemetry;
    this.#catchUps = tracer && new CatchUps(tracer, keyspace.held);
    this.#services = new Services(options.services ?? []);
    this.#greeter = new Greeter({
      keyspace,
      environment,
      name: options.name,
      isDurable: options.durable !== undefined,
      skewMsMax: options.clockAheadMsMax ?? defaultClockAheadMsMax,
      services: this.#services.names,
    });
    this.members = new Members(keyspace.held, this.#links, this.#dialers);
    const silentMsMax = options.peerSilentMsMax ?? defaultPeerSilentMsMax;
    this.memory = new PeerMemory(keyspace, environment, silentMsMax, () => this.#tell());
    const known = { greeter: this.#greeter, members: this.members, memory: this.memory };
    this.#observers = new Observers({ keyspace, environment, ...known });
    this.#targets = (options.peers ?? []).map((peer) => this.#target(peer));
    keyspace.listeners.add(this);
  }

  /** Resolves once the port is bound, and begins to dial. @throws UsageError, see `Transport.listen`. */
  async start(): Promise<void> {
    const { listen, transport, linksMax = defaultLinksMax } = this.#options;
    if (listen) {
      const accept: Acceptor["accept"] = (connection, replicate) =>
        this.#accepted(connection, replicate === "read");
      this.#listener = await transport.listen(listen, { linksMax, accept });
    }
    if (this.#closing) {
      await this.#listener?.close();
      throw new ClosedError("the replica was closed while it opened");
    }
    this.#isStarted = true;
    if (listen) this.#keyspace.publish(true);
    for (const target of this.#targets) this.#add(target);
  }

  /** Where we listen; undefined if we only dial. */
  get address(): Address | undefined {
    return this.#listener?.address;
  }

  /** What else may be had at that port; undefined if we only dial. */
  get door(): Door | undefined {
    return this.#listener?.door;
  }

  /** Dials one more peer. @throws UsageError when it cannot be dialed. */
  addPeer(peer: string | DialTarget): void {
    this.#add(this.#target(peer));
  }

  /** Ends the link to a peer that we dial, and dials it no more. */
  removePeer(url: string): void {
    const dialer = this.#dialers.get(url);
    if (dialer === undefined) return;
    this.#dialers.delete(url);
    dialer.stop();
    dialer.link?.end({ ...leaving, reason: "the peer was removed" });
    this.#tell();
  }

  /** What is known of each peer, see `Members.views`. */
  get peers(): PeerView[] {
    return this.members.views(this.memory.strangers());
  }

  /** What there is to count. O(links + names of peers). */
  get figures(): SyncFigures {
    const traffic = this.#past.with([...this.#links, ...this.#ending]);
    return { links: this.#links.size, traffic, services: this.#services.counts };
  }

  /** What each peer holds that is connected or was seen lately: who may still ask for what was removed. */
  passed(): VersionVector[] {
    return [...this.members.held(), ...this.memory.vectors()];
  }

  /** How far the peers are that are connected or were seen lately. */
  knownPeers(): KnownPeer[] {
    const nowMs = this.#environment.now();
    const linked = [...this.#links].flatMap((link) => {
      const { acknowledged } = link;
      return acknowledged ? [{ name: this.#nameOf(link), lastSeenMs: nowMs, acknowledged }] : [];
    });
    return [...linked, ...this.memory.known()];
  }

  /** Our disk has more: peers are told what of theirs that is. O(links x actors). */
  stored(): void {
    for (const link of this.#links) link.stored();
  }

  /** Lets peers take what is left, says goodbye, ends everything. Harmless twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const dialer of this.#dialers.values()) dialer.stop();
    this.#obituaries.send();
    this.#observers.leave();
    for (const link of [...this.#links]) link.endWhenDone();
    await this.#untilGone(() => {
      for (const link of [...this.#links]) link.end(leaving);
    });
    await this.#untilGone(() => {
      for (const link of [...this.#ending]) link.terminate();
    });
    this.#keyspace.listeners.delete(this);
    this.memory.close();
    await this.#listener?.close();
  }

  async #untilGone(late: () => void): Promise<void> {
    if (this.#links.size + this.#ending.size > 0) await this.#farewell.untilGone(closeMsMax, late);
  }

  // Changes of the keyspace.

  /** A local batch: out at once. */
  flushed(): void {
    for (const link of this.#links) link.pump();
  }

  /** What came from a peer goes on to the others: the first frame of a turn at once, all more together. */
  joined(): void {
    if (this.#pumpsLater) return;
    this.#pumpsLater = true;
    this.#environment.defer(() => {
      this.#pumpsLater = false;
      this.flushed();
    });
    this.flushed();
  }

  /** Peers are told once a turn. */
  actorEnded(actor: ActorId): void {
    this.#obituaries.add(actor);
  }

  // Links.

  #target(peer: string | DialTarget): DialTarget {
    const target = typeof peer === "string" ? { url: peer } : peer;
    this.#options.transport.check(target.url);
    return target;
  }

  #add(target: DialTarget): void {
    if (this.#closing || this.#dialers.has(target.url)) return;
    if (!this.members.isLinked && !this.#keyspace.publication.isAlone) this.#keyspace.publish(true);
    const dialer = new Dialer({
      target,
      environment: this.#environment,
      connect: () => this.#dialed(target),
      isLinked: (actor) => this.members.link(actor) !== undefined,
    });
    this.#dialers.set(target.url, dialer);
    if (this.#isStarted) dialer.start();
  }

  #dialed(target: DialTarget): Link {
    const link = this.#begin(target.url);
    link.attach(this.#options.transport.dial(target, link));
    return link;
  }

  #accepted(connection: Connection, isReader: boolean): Link {
    const link = this.#begin(undefined, isReader);
    link.attach(connection);
    if (this.#closing) link.end(leaving);
    return link;
  }

  #begin(url: string | undefined, isReader = false): Link {
    const link = new Link({
      number: ++this.#linksBegun,
      ...(url === undefined ? {} : { url }),
      exchanges: this.#options.exchanges,
      environment: this.#environment,
      telemetry: this.#telemetry,
      owner: this,
      heartbeatMs: this.#options.heartbeatMs ?? defaultHeartbeatMs,
      isReader,
      ...(this.#options.durable ? { durable: this.#options.durable } : {}),
    });
    this.#links.add(link);
    return link;
  }

  #dialerOf(link: Link): Dialer | undefined {
    if (link.url !== undefined) return this.#dialers.get(link.url);
    for (const dialer of this.#dialers.values()) if (dialer.actor === link.actor) return dialer;
    return undefined;
  }

  /** By what a peer is remembered while it is away. */
  #nameOf(link: Link): string {
    return this.#dialerOf(link)?.target.url ?? link.actor ?? "";
  }

  // What links ask and tell.

  greeting(link: Link): ReturnType<LinkOwner["greeting"]> {
    return this.#greeter.greet(link);
  }

  acquaintance(hello: Hello): ReturnType<LinkOwner["acquaintance"]> {
    return this.#greeter.acquaintance(hello);
  }

  meet(link: Link, hello: Hello): Admission {
    if (hello.isObserver === true) return this.#observers.admit(link, this.#links);
    const dialer = link.url === undefined ? undefined : this.#dialers.get(link.url);
    if (dialer) {
      dialer.actor = hello.actor;
      dialer.name = hello.name;
      dialer.refused = undefined;
    }
    const other = this.members.link(hello.actor);
    if (other) {
      const end: LinkEnd = { code: "duplicate", reason: "there is another link", by: "us" };
      const { actor } = this.#keyspace;
      // Whoever may only read takes nobody's place, whose name it may have made its own.
      const isBetter =
        link.isReader === other.isReader
          ? isPreferred({ link, hello }, other, actor)
          : other.isReader;
      if (!isBetter) return { kind: "refused", end };
      other.end(end);
    }
    this.#catchUps?.met(link, hello);
    return { kind: "admitted", stage: this.memory.takeStage(hello.actor) };
  }

  started(link: Link): void {
    this.#keyspace.publish(false);
    const dialer = this.#dialerOf(link);
    if (dialer) {
      dialer.reached = link.target;
      dialer.lastEnd = undefined;
    }
    this.memory.forget(this.#nameOf(link));
    if (link.actor) this.memory.welcome(link.actor);
    this.#services.started(link);
    this.#catchUps?.started(link);
    tellLink(this.#options, link);
    this.#telemetry.count("trellis_links_started_total");
    logStart(this.#logger, link);
    this.#tell();
  }

  served(link: Link, message: ServiceMessage): void {
    this.#services.served(link, message);
  }

  acknowledgedMore(): void {
    this.#tell();
  }

  received(link: Link, received: Received): void {
    const { onReceived } = this.#options;
    this.#catchUps?.received(link);
    if (onReceived && link.actor) this.#guarded(onReceived, received, link.actor);
  }

  ended(link: Link, end: LinkEnd, stage: Stage | undefined): void {
    this.#services.ended(link);
    this.#catchUps?.ended(link, end);
    const wasObserver = this.#observers.ended(link);
    this.#links.delete(link);
    this.#ending.add(link);
    this.#telemetry.count("trellis_links_ended_total", 1, { code: end.code });
    logEnd(this.#logger, link, end);
    if (wasObserver) return;
    tellLink(this.#options, link, end);
    this.#keep(link, end, stage);
    if (link.known && !this.members.isLinked) this.#keyspace.publish(true);
    const isCloned = end.code === "clone" && end.by === "us" && !link.isReader;
    if (isCloned && link.hello) this.#fork(link.hello);
    const dialer = link.url === undefined ? undefined : this.#dialers.get(link.url);
    dialer?.ended(link, end);
    if (link.actor) for (const other of this.#dialers.values()) other.released(link.actor);
    this.#tell();
  }

  /** Somebody else writes as our actor: everybody gets to know us anew. */
  #fork({ name, nonce }: Hello): void {
    const { actor } = this.#keyspace;
    fork(this.#keyspace, mixedActor(this.#keyspace.newActor(), nonce));
    const forked: Forked = { from: actor, to: this.#keyspace.actor, noticedBy: name };
    const what = "somebody else writes as our actor: this machine, or a snapshot of it, runs twice";
    this.#logger.error({ ...forked, code: "clone" }, `${what}; we go on as another actor`);
    this.#telemetry.count("trellis_forks_total");
    for (const link of [...this.#links]) link.end({ ...leaving, reason: "it has another actor" });
    const { onForked } = this.#options;
    if (onForked) this.#guarded(onForked, forked);
  }

  gone(link: Link): void {
    this.#ending.delete(link);
    this.#past.add(link);
    if (this.#links.size + this.#ending.size === 0) this.#farewell.gone();
  }

  /** What is remembered of the peer until its next link. */
  #keep(link: Link, end: LinkEnd, stage: Stage | undefined): void {
    const { actor, acknowledged, peer, hello } = link;
    if (isRefusal(end) && hello && link.url === undefined) this.memory.refuse(hello, end.reason);
    if (actor === undefined) return;
    const isBroken = end.by === "us" && ["malformed", "protocol", "schema"].includes(end.code);
    if (stage && isBroken) Exchange.discard(this.#keyspace, stage);
    else if (stage) this.memory.keepStage(actor, stage);
    // What is only in memory does not come back from a replica that has closed.
    const isOver = end.by === "peer" && end.code === "leaving" && peer?.isDurable !== true;
    if (acknowledged && !isOver) this.memory.remember(this.#nameOf(link), acknowledged);
  }

  #tell(): void {
    const { onChange } = this.#options;
    if (onChange === undefined || this.#tellsLater) return;
    this.#tellsLater = true;
    this.#environment.defer(() => {
      this.#tellsLater = false;
      this.#guarded(onChange);
    });
  }

  /** A listener's error is its own. */
  #guarded<A extends readonly unknown[]>(listener: (...told: A) => void, ...told: A): void {
    try {
      listener(...told);
    } catch (error) {
      this.#logger.error({ err: error }, "a listener threw");
    }
  }
}
