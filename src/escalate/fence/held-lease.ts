/**
 * A lease in the hands of its holder. When does it end? When its time, measured here, is over: earlier
 * than in the eyes of the store, because the measuring began before the request was sent. Replies only
 * move that moment on; that one does not come moves nothing.
 */
import type { Environment, Timer } from "../../environment.ts";
import { ClosedError, LeaseLostError } from "../../errors.ts";
import type { Guarded, Lease } from "../locks.ts";
import { elapsedSince } from "./elapsed.ts";
import type { Fence } from "./guard.ts";

/** What counts of a time that the store gave: its clock may run faster than ours, by 1 % and 2 ms. */
const usableMs = (givenMs: number): number => givenMs * 0.99 - 2;

/** With less than that left, in ms, it is lost: no timer is finer. */
const leftMsMin = 1;

/** Clocks that step are looked at so many times within one time to live. */
const looksPerTtl = 4;

/** What a lease needs of the backend that granted it. */
export interface Grantor {
  readonly environment: Environment;
  /** Whether the lease lives on; rejects when no answer came. */
  prolong(lease: HeldLease): Promise<boolean>;
  /** Rejects when no answer came. */
  giveBack(lease: HeldLease): Promise<void>;
  /** It holds nothing any more: released or lost. */
  ended(lease: HeldLease): void;
}

/** What was granted. */
export interface Grant {
  readonly resource: string;
  readonly fence: Fence;
  readonly current: Guarded | undefined;
  readonly ttlMs: number;
  /** Without a bound, infinite. */
  readonly maxHoldMs: number;
  /** Ms since before the request was sent that the store granted. */
  readonly elapsedMs: () => number;
}

/** A lease of any backend that is an authority's client. */
export class HeldLease implements Lease {
  readonly resource: string;
  readonly token: bigint;
  readonly current: Guarded | undefined;
  readonly fence: Fence;
  readonly ttlMs: number;
  /** The version that the next commit expects. */
  version: bigint;
  /** The value at that version. */
  value: Uint8Array | undefined;
  readonly #grantor: Grantor;
  /** Made when somebody looks: most leases are never asked for it. */
  #loss: AbortController | undefined;
  #lossReason: LeaseLostError | undefined;
  readonly #heldMs: () => number;
  readonly #maxHoldMs: number;
  #elapsedMs: () => number;
  #timer: Timer | undefined;
  #isReleased = false;
  #releasing: Promise<void> | undefined;

  constructor(grantor: Grantor, grant: Grant) {
    this.#grantor = grantor;
    this.resource = grant.resource;
    this.fence = grant.fence;
    this.token = grant.fence.token;
    this.current = grant.current;
    this.version = grant.current?.version ?? 0n;
    this.value = grant.current?.value;
    this.ttlMs = grant.ttlMs;
    this.#maxHoldMs = grant.maxHoldMs;
    this.#elapsedMs = this.#heldMs = grant.elapsedMs;
    this.#watch();
  }

  get lost(): AbortSignal {
    if (!this.isReleased) this.#look();
    if (!this.#loss) {
      this.#loss = new AbortController();
      if (this.#lossReason) this.#loss.abort(this.#lossReason);
    }
    return this.#loss.signal;
  }

  /** Whether it is lost, without making a signal. */
  get isLost(): boolean {
    if (!this.isReleased) this.#look();
    return this.#lossReason !== undefined;
  }

  /** Its holder gave it back, or began to. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Ms until it is lost; not above 0 when it is. */
  get leftMs(): number {
    if (this.#lossReason) return 0;
    return Math.min(
      usableMs(this.ttlMs) - this.#elapsedMs(),
      usableMs(this.#maxHoldMs) - this.#heldMs(),
    );
  }

  /** This backend granted it. */
  isOf(grantor: Grantor): boolean {
    return grantor === this.#grantor;
  }

  /** A commit under it left this. */
  wrote(value: Uint8Array, version: bigint): void {
    if (version <= this.version) return;
    this.version = version;
    this.value = value;
  }

  async renew(): Promise<void> {
    if (this.isReleased) throw new ClosedError(`the lease of ${this.resource} was released`);
    this.lost.throwIfAborted();
    const { elapsedMs, isAlive } = await this.#untilLost(async () => {
      const sinceSent = elapsedSince(this.#grantor.environment);
      return { elapsedMs: sinceSent, isAlive: await this.#grantor.prolong(this) };
    });
    if (!isAlive) this.#lose("the store has ended it");
    this.lost.throwIfAborted();
    this.#elapsedMs = elapsedMs;
    if (!this.isReleased) this.#watch();
  }

  release(): Promise<void> {
    this.#releasing ??= this.#giveBack();
    return this.#releasing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It runs out by itself; the error of the body under the lease matters more.
    await this.release().catch(() => undefined);
  }

  async #giveBack(): Promise<void> {
    this.#isReleased = true;
    this.#timer?.cancel();
    this.#grantor.ended(this);
    try {
      await this.#grantor.giveBack(this);
    } catch (error) {
      this.#releasing = undefined; // may be tried again
      throw error;
    }
  }

  /** Rejects when the lease is lost, however long the work takes. */
  #untilLost<T>(work: () => Promise<T>): Promise<T> {
    const signal = this.lost;
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(signal.reason);
      signal.addEventListener("abort", stop, { once: true });
      void work()
        .then(resolve, reject)
        .finally(() => signal.removeEventListener("abort", stop));
    });
  }

  #watch(): void {
    this.#timer?.cancel();
    const leftMs = this.leftMs;
    if (leftMs < leftMsMin) {
      this.#lose("its time is over");
      return;
    }
    const lookMs = Math.min(leftMs, this.ttlMs / looksPerTtl);
    this.#timer = this.#grantor.environment.schedule(lookMs, () => this.#watch());
  }

  #look(): void {
    if (!this.#lossReason && this.leftMs < leftMsMin) this.#lose("its time is over");
  }

  /** It is not ours any more. */
  #lose(why: string): void {
    if (this.#lossReason || this.isReleased) return;
    this.#timer?.cancel();
    this.#grantor.ended(this);
    const { resource, token } = this;
    const message = `the lease of ${resource} with token ${token} is lost: ${why}`;
    this.#lossReason = new LeaseLostError(message, { resource, token });
    this.#loss?.abort(this.#lossReason);
  }
}
