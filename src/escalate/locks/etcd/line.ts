/**
 * Those of this client who stand in one line of etcd. Only the first of them looks at its predecessor,
 * one stream for all: nobody behind it can be next before it has come and gone.
 */
import type { Environment } from "../../../environment.ts";
import type { Gateway } from "./gateway.ts";
import { field, watchDeletions } from "./wire.ts";

/** A key before one's own. */
export interface Predecessor {
  readonly key: string;
  /** It was there at this revision. */
  readonly seen: bigint;
}

/** One who stands in line. */
export interface Waiter {
  /** When its key was created: its place. */
  readonly created: bigint;
  /** The nearest key before its own, as last seen. */
  predecessor: Predecessor | undefined;
  /** Says that it is its turn to ask again. */
  tell(): void;
}

/** What watching one key came to. */
type Seen = "removed" | "unsure";

/** It asks by itself this often, in case that a stream went silent; in ms. */
const askEveryMs = 10_000;
/** After a stream that broke, in ms. */
const pauseMs = 100;

/** The line of one resource, as far as it is this client's. */
export class Line {
  readonly #gateway: Gateway;
  readonly #environment: Environment;
  readonly #waiters: Waiter[] = [];
  #watched: { readonly waiter: Waiter; readonly stopping: AbortController } | undefined;

  constructor(gateway: Gateway, environment: Environment) {
    this.#gateway = gateway;
    this.#environment = environment;
  }

  get isEmpty(): boolean {
    return this.#waiters.length === 0;
  }

  /** Stands in it, or has asked again and still does. */
  stand(waiter: Waiter): void {
    this.#remove(waiter);
    const place = this.#waiters.findIndex(({ created }) => created > waiter.created);
    this.#waiters.splice(place < 0 ? this.#waiters.length : place, 0, waiter);
    this.#look();
  }

  leave(waiter: Waiter): void {
    this.#remove(waiter);
    this.#look();
  }

  #remove(waiter: Waiter): void {
    const place = this.#waiters.indexOf(waiter);
    if (place >= 0) this.#waiters.splice(place, 1);
    if (this.#watched?.waiter !== waiter) return;
    this.#watched.stopping.abort();
    this.#watched = undefined;
  }

  /** Has the first one watch, and nobody else. */
  #look(): void {
    const waiter = this.#waiters[0];
    if (waiter === this.#watched?.waiter) return;
    this.#watched?.stopping.abort();
    this.#watched = undefined;
    if (!waiter) return;
    const watched = { waiter, stopping: new AbortController() };
    this.#watched = watched;
    void this.#follow(waiter, watched.stopping.signal);
  }

  async #follow(waiter: Waiter, signal: AbortSignal): Promise<void> {
    // When many leave at once, each is the first for a moment.
    await new Promise<void>((resolve) => this.#environment.defer(resolve));
    if (!signal.aborted) await this.#untilRemoved(waiter, signal);
    if (!signal.aborted) waiter.tell();
  }

  /** Resolves when its predecessor is gone, or it is time to ask who that is now. */
  async #untilRemoved({ predecessor }: Waiter, signal: AbortSignal): Promise<void> {
    if (!predecessor) return;
    const stopping = new AbortController();
    const either = AbortSignal.any([signal, stopping.signal]);
    const poll = this.#environment.schedule(askEveryMs, () => stopping.abort());
    const seen = await this.#watch(predecessor, either);
    poll.cancel();
    if (seen === "removed" || either.aborted) return;
    await this.#pause(signal);
  }

  async #watch({ key, seen }: Predecessor, signal: AbortSignal): Promise<Seen> {
    let isRemoved = false;
    const receive = (message: unknown): boolean => {
      const events = field(message, "events");
      isRemoved = Array.isArray(events) && events.length > 0;
      // Canceled: that revision is not kept any more.
      return isRemoved || field(message, "canceled") === true;
    };
    try {
      await this.#gateway.watch(watchDeletions(key, seen + 1n), receive, signal);
    } catch {
      // The stream broke; who asks again finds out.
    }
    return isRemoved ? "removed" : "unsure";
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#environment.schedule(pauseMs, resolve);
      const stop = (): void => {
        timer.cancel();
        resolve();
      };
      signal.addEventListener("abort", stop, { once: true });
    });
  }
}
