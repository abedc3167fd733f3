/**
 * One connection to one peer: it lets the session decide and does what the session says. Frames are made when there is
 * room for them; what was taken in is acknowledged once a turn; at rest there is a heartbeat and nothing else.
 */
import type { ActorId } from "../crdt/dot.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Environment } from "../environment.ts";
import { MalformedError } from "../store/bytes.ts";
import { Exchange } from "../store/exchange.ts";
import type { Exchanges } from "../store/exchanges.ts";
import type { Stage } from "../store/stage.ts";
import type { Telemetry } from "../telemetry.ts";
import type { Attendant } from "./attendant.ts";
import { Channel } from "./channel.ts";
import { numbered } from "./digest.ts";
import { Disks, type FrameCounts } from "./disks.ts";
import type { LinkOptions } from "./link-options.ts";
import type { LinkOwner } from "./link-owner.ts";
import { endingsIn, learn, untold } from "./obituary.ts";
import { type Ended, type Hello, type Message, serviceBytesMax } from "./message.ts";
import { Pulse } from "./pulse.ts";
import { Pump } from "./pump.ts";
import type { Question } from "./question.ts";
import {
  broken,
  cloned,
  endOf,
  endOfConnection,
  leaving,
  type LinkEnd,
  onlyReads,
} from "./refusal.ts";
import { type Effect, opening, type SessionEvent, type SessionState, step } from "./session.ts";
import type { LinkTraffic } from "./traffic.ts";
import type { Connection, ConnectionEnd, Receiver } from "./transport.ts";

/** Acknowledgements wait while more than this is buffered, in bytes. */
const smallBufferedBytesMax = 64 * 1024;
/** Services send nothing while more than this is buffered, in bytes. */
const serviceBufferedBytesMax = 2 * serviceBytesMax;

/** A conversation over one connection. */
export class Link implements Receiver {
  readonly number: number;
  readonly url: string | undefined;
  /** Whether the peer may only read: what it says of itself is its own affair, and nothing to others. */
  readonly isReader: boolean;
  readonly #exchanges: Exchanges;
  readonly #environment: Environment;
  readonly #telemetry: Telemetry;
  readonly #owner: LinkOwner;
  readonly #pulse: Pulse;
  readonly #durable: (() => VersionVector) | undefined;
  readonly #channel = new Channel();
  readonly #startedMs: number;
  #state: SessionState = opening;
  #hello: Hello | undefined;
  #peer: Hello | undefined;
  #exchange: Exchange | undefined;
  #disks: Disks | undefined;
  #attendant: Attendant | undefined;
  #stage: Stage | undefined;
  readonly #pump: Pump;
  #unacknowledged = 0;
  #isLeaving = false;
  #isClogged = false;
  #stagedBytes = 0;
  /** What the peer held when the link began to stream. */
  target: VersionVector | undefined;
  /** How far the peer's wall clock was ahead of ours when its hello came, in ms, less the way. */
  clockOffsetMs: number | undefined;
  /** When anything was last heard, by the wall clock in ms. */
  lastSeenMs: number | undefined;
  /** When the link began to stream, by the monotonic clock in ms. */
  streamingSinceMs: number | undefined;

  constructor(options: LinkOptions) {
    this.number = options.number;
    this.url = options.url;
    this.isReader = options.isReader;
    this.#exchanges = options.exchanges;
    this.#environment = options.environment;
    this.#telemetry = options.telemetry;
    this.#owner = options.owner;
    this.#durable = options.durable;
    this.#startedMs = options.environment.monotonic();
    this.#pump = new Pump({
      environment: options.environment,
      mayPump: () => this.#isStreaming() && this.#peer?.takesNothing !== true,
      bufferedBytes: () => this.#channel.bufferedBytes,
      next: () => this.#exchange?.next(),
      send: (bytes) => this.#sendFrame(bytes),
      onFault: (error) => this.#leave(endOf(error)),
    });
    this.#pulse = new Pulse(options.environment, options.heartbeatMs, () => this.#tick());
  }

  /** Gives the link its connection, right after that was made. */
  attach(connection: Connection): void {
    this.#channel.attach(connection);
  }

  get traffic(): LinkTraffic {
    return this.#channel;
  }

  /** What the peer said of itself, once its hello was fine. */
  get peer(): Hello | undefined {
    return this.#peer;
  }

  /** What the peer said of itself, fine or not. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  get actor(): ActorId | undefined {
    return this.#peer?.actor;
  }

  get state(): SessionState["kind"] {
    return this.#state.kind;
  }

  /** What the peer has for certain; undefined until the link streams. */
  get acknowledged(): VersionVector | undefined {
    return this.#exchange?.acknowledged;
  }

  /** What the peer said that it holds; undefined until the link streams. */
  get known(): VersionVector | undefined {
    return this.#exchange?.known;
  }

  /** As safely as the peer can: on its disk, if any. Undefined until the link streams, and of one who may only read. */
  get kept(): VersionVector | undefined {
    return this.isReader ? undefined : this.#disks?.kept;
  }

  /** Batches that the peer has not acknowledged; 0 if it takes none. O(actors). */
  get lagBatches(): number {
    return this.#peer?.takesNothing === true ? 0 : (this.#exchange?.lagBatches ?? 0);
  }

  /** For how long the oldest frame on the way has been so, in ms. */
  get lagMs(): number {
    const sinceMs = this.#pump.flow.oldestMs;
    return sinceMs === undefined ? 0 : this.#nowMs - sinceMs;
  }

  /** Bytes of a half-received series. */
  get stagedBytes(): number {
    return this.#stagedBytes;
  }

  /** Sends what the peer lacks, as far as there is room. Never throws. */
  pump(): void {
    if (this.#exchange === undefined) return;
    this.#pump.run();
    this.#leaveWhenDone();
  }

  /** Tells the peer of actors that ended. */
  tell(messages: readonly Ended[]): void {
    if (this.#isStreaming()) for (const message of messages) this.#send(message);
  }

  /** Sends bytes of a service; false if the peer does not have it, or there is no room. */
  serve(service: string, bytes: Uint8Array): boolean {
    if (bytes.length > serviceBytesMax) throw new Error(`${bytes.length} bytes of a service`);
    if (!this.#isStreaming() || this.#peer?.services?.includes(service) !== true) return false;
    if (this.#channel.bufferedBytes > serviceBufferedBytesMax) return false;
    this.#send({ kind: "service", service, bytes });
    return true;
  }

  /** Our disk has more. */
  stored(): void {
    this.#disks?.stored();
  }

  /** Ends the link; the peer is told why. */
  end(end: LinkEnd): void {
    this.#leave(end);
  }

  /** Ends the link as soon as the peer has acknowledged everything. */
  endWhenDone(): void {
    this.#isLeaving = true;
    if (this.#state.kind === "streaming") this.pump();
    else this.#leave(leaving);
  }

  /** Ends the connection of a link that is over, if it still stands. */
  terminate(): void {
    this.#channel.terminate();
  }

  // The connection's calls.

  opened(): void {
    if (this.#state.kind !== "opening") return;
    this.#step({ kind: "opened", ours: this.#owner.greeting(this) });
  }

  message(bytes: Uint8Array): void {
    if (this.#state.kind === "closed") return;
    this.#pulse.heard();
    this.lastSeenMs = this.#environment.now();
    try {
      this.#take(bytes);
    } catch (error) {
      this.#leave(endOf(error));
    }
  }

  drained(): void {
    if (this.#isClogged) this.#acknowledge();
    this.pump();
  }

  closed(end: ConnectionEnd): void {
    this.#step({ kind: "lost", end: endOfConnection(end) });
    this.#owner.gone(this);
  }

  // Messages.

  #take(bytes: Uint8Array): void {
    const message = this.#channel.take(bytes, this.#state.kind);
    if (message === undefined) return;
    if (message.kind === "hello") {
      this.#hello ??= message;
      const acquaintance = this.#owner.acquaintance(message);
      this.clockOffsetMs = message.wallMs - acquaintance.wallMs;
      this.#step({ kind: "hello", hello: message, acquaintance });
    } else {
      // Who goes on with a series does so before it says anything else of what it holds.
      const mayGoOn = ["frame", "ended", "service"].includes(message.kind);
      if (!mayGoOn && this.#exchange) this.#notResumed(this.#exchange);
      this.#step(message);
    }
  }

  #notResumed(exchange: Exchange): void {
    exchange.notResumed();
    this.#stagedBytes = exchange.stage?.bytes ?? 0;
  }

  #sendFrame(bytes: Uint8Array): void {
    this.#send({ kind: "frame", bytes });
    this.#channel.framesOut++;
    this.#disks?.sent();
    this.#telemetry.observe("trellis_frame_out_bytes", bytes.length);
  }

  #send(message: Message): void {
    if (message.kind === "pong" && !this.#pulse.mayPong()) return;
    this.#channel.send(message);
  }

  // The session's effects.

  #step(event: SessionEvent): void {
    const { state, effects } = step(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect, event);
  }

  #perform(effect: Effect, event: SessionEvent): void {
    switch (effect.kind) {
      case "send":
        this.#send(effect.message);
        break;
      case "meet":
        this.#meet(effect.hello);
        break;
      case "start":
        this.#start(effect);
        break;
      case "consider":
        if (event.kind === "ask") this.#consider(event.question);
        break;
      case "observe":
      case "hear":
        throw new Error("assertion: a replica observes nobody");
      case "take":
        if (event.kind === "frame") this.#receive(event.bytes);
        break;
      case "acknowledge":
        if (event.kind === "ack") this.#acknowledged(event.frames);
        break;
      case "store":
        if (event.kind === "stored") this.#peerStored(event);
        break;
      case "serve":
        if (event.kind === "service" && !this.isReader) this.#owner.served(this, event);
        break;
      case "learn":
        if (!this.isReader) learn(this.#exchanges.keyspace, effect.endings);
        break;
      case "end":
        this.#finish(effect.end, effect.tell);
        break;
    }
  }

  #meet(hello: Hello): void {
    const admission = this.#owner.meet(this, hello);
    if (admission.kind === "refused") return this.#leave(admission.end);
    this.#peer = hello;
    this.#stage = admission.stage;
    this.#attendant = admission.attendant;
    this.#stagedBytes = admission.stage?.bytes ?? 0;
    this.#step({ kind: "admitted", stage: admission.stage?.point });
  }

  #start(start: Extract<Effect, { kind: "start" }>): void {
    const { keyspace } = this.#exchanges;
    const known = numbered(start.known, keyspace.actors);
    const told = start.told === start.known ? known : numbered(start.told, keyspace.actors);
    const { me, held, actor, publication } = keyspace;
    const published = publication.upTo(held.at(me));
    if (known.at(me) > published) {
      const seen = `batch ${known.at(me)} of our actor ${actor}, of which ${published} are public`;
      return this.#leave(
        this.isReader ? broken(`it claims to know ${seen}`) : cloned(`it knows ${seen}`),
      );
    }
    const { resume } = start;
    this.#exchange = new Exchange(this.#exchanges, { told, known, resume, stage: this.#stage });
    this.#stage = undefined;
    // Nothing differs, so nothing will be sent.
    if (start.told === start.known) this.#notResumed(this.#exchange);
    this.#disks = new Disks({
      environment: this.#environment,
      held,
      acknowledged: this.#exchange.acknowledged,
      durable: this.#durable,
      isPeerDurable: this.#peer?.isDurable === true,
      tell: (counts) => {
        if (this.#isStreaming()) this.#send({ kind: "stored", ...counts });
      },
    });
    this.target = known;
    this.streamingSinceMs = this.#nowMs;
    this.tell(untold(keyspace.endings, start.told));
    if (!this.isReader) learn(keyspace, endingsIn(start.known));
    this.#owner.started(this);
    this.pump();
  }

  #consider(question: Question): void {
    this.#attendant?.answer(question).then(
      (answer) => this.#step({ kind: "answered", answer }),
      (error: unknown) => this.#leave(endOf(error)),
    );
  }

  #receive(frame: Uint8Array): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    if (this.isReader) return this.#leave(onlyReads);
    const beganMs = this.#nowMs;
    const received = exchange.receive(frame);
    this.#telemetry.observe("trellis_frame_apply_ms", this.#nowMs - beganMs);
    this.#channel.framesIn++;
    this.#disks?.received();
    this.#stagedBytes = received.stagedBytes;
    this.#telemetry.observe("trellis_frame_in_bytes", frame.length);
    if (this.#unacknowledged++ === 0) this.#environment.defer(this.#acknowledge);
    this.#owner.received(this, received);
  }

  /** One for all that came in this turn. */
  readonly #acknowledge = (): void => {
    if (!this.#isStreaming() || this.#unacknowledged === 0) return;
    // To who sends and does not read they must not pile up; behind all that they would be late anyway.
    this.#isClogged = this.#channel.bufferedBytes > smallBufferedBytesMax;
    if (this.#isClogged) return;
    const frames = this.#unacknowledged;
    this.#unacknowledged = 0;
    this.#send({ kind: "ack", frames });
  };

  #acknowledged(frames: number): void {
    this.#exchange?.acknowledge(frames);
    this.#disks?.acknowledged(frames);
    this.#pump.flow.acknowledged(frames, this.#nowMs);
    this.#owner.acknowledgedMore(this);
    this.pump();
  }

  #peerStored({ taken, sent }: FrameCounts): void {
    const { framesIn, framesOut } = this.#channel;
    if (taken > framesOut || sent > framesIn) {
      throw new MalformedError("frames that there were not are stored");
    }
    this.#disks?.told({ taken, sent });
    this.#owner.acknowledgedMore(this);
  }

  // The end.

  #leave(end: LinkEnd): void {
    this.#step({ kind: "leave", end });
  }

  #leaveWhenDone(): void {
    if (this.#isLeaving && this.#isStreaming() && this.#pump.flow.frames === 0)
      this.#leave(leaving);
  }

  #finish(end: LinkEnd, tell: boolean): void {
    this.#pulse.stop();
    this.#pump.stop();
    this.#attendant?.stop();
    if (tell && this.#unacknowledged > 0) this.#send({ kind: "ack", frames: this.#unacknowledged });
    if (tell) this.#send({ kind: "bye", code: end.code, reason: end.reason });
    // Who is silent would not answer a closing handshake either.
    if (end.code === "silent" || end.code === "stalled") this.#channel.terminate();
    else this.#channel.close(end.code);
    const stage = this.#exchange ? this.#exchange.close() : this.#stage;
    this.#owner.ended(this, end, stage);
  }

  #tick(): void {
    const nowMs = this.#nowMs;
    const moves = this.#pump.flow.moves(this.#channel.bufferedBytes, nowMs);
    this.#step({
      kind: "tick",
      ageMs: nowMs - this.#startedMs,
      silentTicks: this.#pulse.count(moves),
      stalledMs: this.#pump.flow.stalledMs(nowMs),
    });
  }

  get #nowMs(): number {
    return this.#environment.monotonic();
  }

  #isStreaming(): boolean {
    return this.#state.kind === "streaming";
  }
}
