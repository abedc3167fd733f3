/**
 * Keeps one configured peer connected: dials, waits longer after each failure, and does not dial while
 * another link to the same peer stands.
 */
import type { ActorId } from "../crdt/dot.ts";
import type { VersionVector } from "../crdt/version-vector.ts";
import type { Environment, Timer } from "../environment.ts";
import { Backoff } from "./backoff.ts";
import type { Link } from "./link.ts";
import { isRefusal, type LinkEnd } from "./refusal.ts";
import { noTraffic, sumOf, type Traffic } from "./traffic.ts";
import type { DialTarget } from "./transport.ts";

/** A link that streamed this long was a good one: the next failure starts with a short wait, in ms. */
export const stableMs = 10_000;

/** What a dialer needs. */
export interface DialerOptions {
  readonly target: DialTarget;
  readonly environment: Environment;
  /** Begins a link. */
  readonly connect: (dialer: Dialer) => Link;
  /** Whether there is a link to that peer already. */
  readonly isLinked: (actor: ActorId) => boolean;
}

/** One configured peer. */
export class Dialer {
  readonly target: DialTarget;
  readonly #environment: Environment;
  readonly #connect: (dialer: Dialer) => Link;
  readonly #isLinked: (actor: ActorId) => boolean;
  readonly #backoff: Backoff;
  #link: Link | undefined;
  #timer: Timer | undefined;
  #isStopped = true;
  #isSelf = false;
  #isCovered = false;
  /** Who answered there last, and what it calls itself. */
  actor: ActorId | undefined;
  name: string | undefined;
  /** What it held when its last link began to stream. */
  reached: VersionVector | undefined;
  /** Why it does not want us, or we do not want it. */
  refused: string | undefined;
  /** Why the last link ended. */
  lastEnd: LinkEnd | undefined;
  /** Totals of the links that are over. */
  past: Traffic = noTraffic;

  constructor(options: DialerOptions) {
    this.target = options.target;
    this.#environment = options.environment;
    this.#connect = options.connect;
    this.#isLinked = options.isLinked;
    this.#backoff = new Backoff(options.environment);
  }

  get link(): Link | undefined {
    return this.#link;
  }

  /** Whether the address turned out to be our own. */
  get isSelf(): boolean {
    return this.#isSelf;
  }

  start(): void {
    this.#isStopped = false;
    this.#dial();
  }

  /** Dials no more. A link that stands is left alone. */
  stop(): void {
    this.#isStopped = true;
    this.#isCovered = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The link that this dialer began is over. */
  ended(link: Link, end: LinkEnd): void {
    if (link !== this.#link) return;
    this.#link = undefined;
    this.lastEnd = end;
    this.past = sumOf(this.past, link.traffic);
    if (end.code === "self") this.#isSelf = true;
    if (this.#isStopped || this.#isSelf) return;
    if (isRefusal(end)) {
      this.refused = end.reason;
      this.#dialIn(this.#backoff.exhaust());
      return;
    }
    const sinceMs = link.streamingSinceMs;
    const nowMs = this.#environment.monotonic();
    if (sinceMs !== undefined && nowMs - sinceMs >= stableMs) this.#backoff.reset();
    this.#dialIn(this.#backoff.next());
  }

  /** Some other link to `actor` is over. */
  released(actor: ActorId): void {
    if (!this.#isCovered || this.actor !== actor || this.#isStopped) return;
    this.#isCovered = false;
    this.#dialIn(this.#backoff.next());
  }

  #dialIn(delayMs: number): void {
    this.#timer = this.#environment.schedule(delayMs, () => this.#dial());
  }

  #dial(): void {
    this.#timer = undefined;
    if (this.#isStopped || this.#link) return;
    this.#isCovered = this.actor !== undefined && this.#isLinked(this.actor);
    if (!this.#isCovered) this.#link = this.#connect(this);
  }
}
