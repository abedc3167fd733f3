/**
 * What is remembered of peers that are away: what they had for certain, so that removals which they
 * have not heard of are kept for a while; the beginnings of series that they were sending us; and who
 * was refused.
 */
import { type ActorId, isActorId } from "../crdt/dot.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Environment, Timer } from "../environment.ts";
import { Exchange } from "../store/exchange.ts";
import type { KnownPeer } from "../store/known-peer.ts";
import { type Stage } from "../store/stage.ts";
import type { Keyspace } from "../store/keyspace.ts";
import type { Hello } from "./message.ts";

/** Silent peers that are remembered. */
export const silentPeersMax = 1_024;
/** Half-received series that are kept while their sender is away. */
export const stagesMax = 8;
/** How long a silent peer is remembered, in ms. */
export const defaultPeerSilentMsMax: number = 24 * 60 * 60 * 1000;

/** Peers that dialed us and were refused, which are shown. */
export const strangersMax = 16;
/** How long they are shown, in ms. They ask again at least twice as often. */
export const strangerMsMax = 60_000;

/** A peer that dialed us and was refused. */
export interface Stranger {
  readonly hello: Hello;
  readonly reason: string;
  /** When, by the wall clock in ms. */
  readonly lastSeenMs: number;
  readonly sinceMs: number;
}

interface Silent {
  readonly acknowledged: VersionVector;
  readonly sinceMs: number;
}

/** Peers that are away. */
export class PeerMemory {
  readonly #keyspace: Keyspace;
  readonly #environment: Environment;
  readonly #silentMsMax: number;
  /** By address where we dial, else by actor; the longest silent first. */
  readonly #silent = new Map<string, Silent>();
  readonly #stages = new Map<ActorId, { readonly stage: Stage; readonly timer: Timer }>();
  readonly #forgotten: () => void;
  readonly #strangers = new Map<ActorId, Stranger>();

  /** `forgotten` is called when something that was kept for a peer is not kept any longer. */
  constructor(
    keyspace: Keyspace,
    environment: Environment,
    silentMsMax: number,
    forgotten: () => void,
  ) {
    this.#forgotten = forgotten;
    this.#keyspace = keyspace;
    this.#environment = environment;
    this.#silentMsMax = silentMsMax;
  }

  /** The peer is away; it had this. */
  remember(peer: string, acknowledged: VersionVector): void {
    this.#silent.delete(peer);
    this.#silent.set(peer, { acknowledged, sinceMs: this.#environment.monotonic() });
    for (const longest of this.#silent.keys()) {
      if (this.#silent.size <= silentPeersMax) break;
      this.#silent.delete(longest);
    }
  }

  /** Takes over who was known before, the longest silent first. A clock that was set back harms nobody. */
  remind(peers: readonly KnownPeer[]): void {
    const nowMs = this.#environment.now();
    for (const { name, acknowledged, lastSeenMs } of peers.toSorted(
      (one, other) => one.lastSeenMs - other.lastSeenMs,
    )) {
      const silentMs = Math.max(0, nowMs - lastSeenMs);
      this.#silent.set(name, { acknowledged, sinceMs: this.#environment.monotonic() - silentMs });
    }
  }

  /** Each of the silent, and when it was last seen. */
  known(): KnownPeer[] {
    const ago = this.#environment.now() - this.#environment.monotonic();
    this.vectors();
    return [...this.#silent].map(([name, { acknowledged, sinceMs }]) => ({
      name,
      acknowledged,
      lastSeenMs: Math.max(0, Math.round(sinceMs + ago)),
    }));
  }

  /** The peer is back, or will not come back. */
  forget(peer: string): void {
    this.#silent.delete(peer);
  }

  /** What each of the silent had. */
  vectors(): VersionVector[] {
    const sinceMs = this.#environment.monotonic() - this.#silentMsMax;
    for (const [peer, silent] of this.#silent) {
      if (silent.sinceMs >= sinceMs) break;
      this.#silent.delete(peer);
    }
    return [...this.#silent.values()].map(({ acknowledged }) => acknowledged);
  }

  /** What those of the silent had that have not ended. */
  awaited(): VersionVector[] {
    const { endings } = this.#keyspace;
    return this.known()
      .filter(({ name }) => !isActorId(name) || endings.of(name) === undefined)
      .map(({ acknowledged }) => acknowledged);
  }

  /** A peer that dialed us was refused. */
  refuse(hello: Hello, reason: string): void {
    const { actor } = hello;
    this.#strangers.delete(actor);
    const lastSeenMs = this.#environment.now();
    const sinceMs = this.#environment.monotonic();
    this.#strangers.set(actor, { hello, reason, lastSeenMs, sinceMs });
    for (const oldest of this.#strangers.keys()) {
      if (this.#strangers.size <= strangersMax) break;
      this.#strangers.delete(oldest);
    }
  }

  /** The peer is refused no more. */
  welcome(actor: ActorId): void {
    this.#strangers.delete(actor);
  }

  /** Who was refused lately. */
  strangers(): Stranger[] {
    const sinceMs = this.#environment.monotonic() - strangerMsMax;
    return [...this.#strangers.values()].filter((stranger) => stranger.sinceMs >= sinceMs);
  }

  /** Keeps the beginning of a series for the sender's next link. */
  keepStage(actor: ActorId, stage: Stage): void {
    this.#dropStage(actor);
    // Its sender may never come back.
    const timer = this.#environment.schedule(this.#silentMsMax, () => {
      this.#dropStage(actor);
      this.#forgotten();
    });
    this.#stages.set(actor, { stage, timer });
    for (const oldest of this.#stages.keys()) {
      if (this.#stages.size <= stagesMax) break;
      this.#dropStage(oldest);
    }
  }

  /** Hands the beginning of a series over, if there is one. */
  takeStage(actor: ActorId): Stage | undefined {
    const kept = this.#stages.get(actor);
    kept?.timer.cancel();
    this.#stages.delete(actor);
    return kept?.stage;
  }

  /** Nothing is kept any longer. */
  close(): void {
    for (const actor of [...this.#stages.keys()]) this.#dropStage(actor);
  }

  #dropStage(actor: ActorId): void {
    const stage = this.takeStage(actor);
    if (stage) Exchange.discard(this.#keyspace, stage);
  }
}
