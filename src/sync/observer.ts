/**
 * Dials a replica to ask it about what it holds. It is no replica itself: it sends and takes no frames,
 * and the replica remembers nothing of it.
 */
import { actorBytes, actorIdFromBytes } from "../crdt/dot.ts";
import type { Environment } from "../environment.ts";
import { ClosedError, UsageError } from "../errors.ts";
import { frameVersion } from "../store/frame.ts";
import { Channel } from "./channel.ts";
import { digest, type DigestedVector } from "./digest.ts";
import { type Answer, type Greeting, type Hello, nonceBytes, protocolVersions } from "./message.ts";
import { Pulse } from "./pulse.ts";
import type { Question } from "./question.ts";
import { endOf, endOfConnection, type LinkEnd } from "./refusal.ts";
import { type Effect, opening, type SessionEvent, type SessionState, step } from "./session.ts";
import type { ConnectionEnd, DialTarget, Receiver, Transport } from "./transport.ts";

const heartbeatMs = 5_000;

/** Who is observed, and how it is reached. */
export interface ObserverOptions {
  readonly target: DialTarget;
  readonly transport: Transport;
  readonly environment: Environment;
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** A link on which we ask. */
export class Observer implements Receiver {
  readonly #options: ObserverOptions;
  readonly #channel = new Channel();
  readonly #pulse: Pulse;
  readonly #startedMs: number;
  #state: SessionState = opening;
  #digest: Uint8Array = new Uint8Array(0);
  #hello: Hello | undefined;
  #opening: Waiting<DigestedVector> | undefined;
  #asking: Waiting<Answer> | undefined;
  #gone: (() => void) | undefined;
  #isGone = false;
  #end: LinkEnd | undefined;

  private constructor(options: ObserverOptions) {
    const { environment } = options;
    this.#options = options;
    this.#startedMs = environment.monotonic();
    this.#pulse = new Pulse(environment, heartbeatMs, () => this.#tick());
  }

  /**
   * Dials, and resolves with what the replica holds once it may be asked.
   * @throws UnauthorizedError, OverloadedError, ProtocolError; UsageError with a cause when it cannot be
   * reached.
   */
  static async open(
    options: ObserverOptions,
  ): Promise<{ readonly observer: Observer; readonly held: DigestedVector }> {
    const { transport, target } = options;
    transport.check(target.url);
    const observer = new Observer(options);
    const held = await new Promise<DigestedVector>((resolve, reject) => {
      observer.#opening = { resolve, reject };
      observer.#channel.attach(transport.dial(target, observer));
    });
    return { observer, held };
  }

  /** Bytes that were sent and received so far. */
  get bytes(): number {
    return this.#channel.bytesIn + this.#channel.bytesOut;
  }

  /** What the replica said of itself. */
  get hello(): Hello {
    if (this.#hello === undefined) throw new Error("assertion: an observer that met nobody");
    return this.#hello;
  }

  /** Asks one question; the answer must have come before the next. @throws as `open`; ClosedError */
  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(failure(this.#options.target.url, this.#end));
      this.#asking = { resolve, reject };
      this.#step({ kind: "question", question });
    });
  }

  /** Ends the link as somebody's fault. Harmless when it is over. */
  fail(end: LinkEnd): void {
    this.#step({ kind: "leave", end });
  }

  /** Says goodbye; resolves when the connection is gone. Harmless twice. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isGone) return resolve();
      const before = this.#gone;
      this.#gone = () => {
        before?.();
        resolve();
      };
      this.fail({ code: "leaving", reason: "all was asked", by: "us" });
    });
  }

  // The connection's calls.

  opened(): void {
    this.#step({ kind: "opened", ours: this.#greeting() });
  }

  message(bytes: Uint8Array): void {
    if (this.#state.kind === "closed") return;
    this.#pulse.heard();
    try {
      const message = this.#channel.take(bytes, this.#state.kind);
      if (message?.kind === "hello") {
        this.#digest = message.digest;
        this.#hello = message;
        const acquaintance = { wallMs: 0, skewMsMax: 0, isOurNonce: false };
        this.#step({ kind: "hello", hello: message, acquaintance });
      } else if (message) {
        this.#step(message);
      }
    } catch (error) {
      this.fail(endOf(error));
    }
  }

  drained(): void {
    // Questions wait for answers, not for room.
  }

  closed(end: ConnectionEnd): void {
    this.#step({ kind: "lost", end: endOfConnection(end) });
    this.#isGone = true;
    this.#gone?.();
  }

  // The session.

  #step(event: SessionEvent): void {
    const { state, effects } = step(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#perform(effect, event);
  }

  #perform(effect: Effect, event: SessionEvent): void {
    if (effect.kind === "send") {
      if (effect.message.kind !== "pong" || this.#pulse.mayPong())
        this.#channel.send(effect.message);
    } else if (effect.kind === "meet") {
      this.#step({ kind: "admitted", stage: undefined });
    } else if (effect.kind === "observe") {
      this.#opening?.resolve({ entries: effect.known, digest: this.#digest });
    } else if (effect.kind === "hear" && event.kind === "answer") {
      const asking = this.#asking;
      this.#asking = undefined;
      asking?.resolve(event);
    } else if (effect.kind === "end") {
      this.#finish(effect.end, effect.tell);
    } else {
      throw new Error(`assertion: an observer cannot ${effect.kind}`);
    }
  }

  #finish(end: LinkEnd, tell: boolean): void {
    this.#end = end;
    this.#pulse.stop();
    if (tell) this.#channel.send({ kind: "bye", code: end.code, reason: end.reason });
    if (end.code === "silent") this.#channel.terminate();
    else this.#channel.close(end.code);
    const error = failure(this.#options.target.url, end);
    this.#opening?.reject(error);
    this.#asking?.reject(error);
  }

  /** We hold nothing, so the replica tells all of its vector. */
  #greeting(): Greeting {
    const { environment } = this.#options;
    return {
      entries: [],
      hello: {
        kind: "hello",
        versions: protocolVersions,
        frameVersion,
        actor: actorIdFromBytes(environment.randomBytes(actorBytes)),
        name: "observer",
        nonce: environment.randomBytes(nonceBytes),
        wallMs: Math.max(0, Math.floor(environment.now())),
        isDurable: false,
        link: 1,
        collections: [],
        actors: 0,
        digest: digest([]),
        isObserver: true,
      },
    };
  }

  #tick(): void {
    this.#step({
      kind: "tick",
      ageMs: this.#options.environment.monotonic() - this.#startedMs,
      silentTicks: this.#pulse.count(false),
      stalledMs: 0,
    });
  }
}

/** What the end of the link is to who asks. */
function failure(url: string, end: LinkEnd): Error {
  if (end.error) return end.error;
  if (end.by === "us" && end.code === "leaving") return new ClosedError("it is asked no more");
  const who = end.by === "peer" ? "refused to answer" : "cannot be asked";
  return new UsageError(`${url} ${who}: ${end.reason}`, { cause: new Error(end.reason) });
}
