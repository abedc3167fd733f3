/** What a case of the suite works with: clients that are disposed of, names, times, and waiting. */
import { expect } from "vitest";
import type { TrellisError } from "../../src/errors.ts";
import type { Guarded, Lease, LockBackend } from "../../src/escalate/locks.ts";
import type { LockFaults, LockStore, LockSubject } from "./faults.ts";

/** Text as bytes. */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Bytes as text; nothing for nothing. */
export const text = (guarded: Guarded | undefined): string | undefined =>
  guarded && new TextDecoder().decode(guarded.value);

/** Waits that long, for time itself to pass. */
export const elapse = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Resolves when the signal has aborted. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

/** What a promise was rejected with; fails if it was not. */
export async function rejection(promise: Promise<unknown>): Promise<TrellisError> {
  try {
    await promise;
  } catch (error) {
    return error as TrellisError;
  }
  return expect.unreachable("this should have been refused");
}

/** So long nothing is asked when everybody waits. */
const quietMs = 100;
/** The default of `LockSubject.joinedMs`. */
const joinedMs = 1_100;
/** And is seen not to be asked so often: where nobody runs for a while, nobody asks either. */
const quietLooks = 20;

let ids = 0;

/** An operation id that was not used before. */
export const operationId = (): string => `operation-${process.pid}-${ids++}`;

/** One run of one case. */
export class Trial implements AsyncDisposable {
  readonly faults: LockFaults;
  /** Of short leases: long enough to act within, short enough to wait for. */
  readonly ttlMs: number;
  readonly slackMs: number;
  readonly valueBytes: number;
  readonly waiters: number;
  readonly joinedMs: number;
  readonly #store: LockStore;
  readonly #clients: LockBackend[] = [];

  constructor(subject: LockSubject, store: LockStore) {
    this.#store = store;
    this.faults = store.faults;
    this.ttlMs = subject.ttlMs ?? 400;
    this.slackMs = subject.slackMs ?? 2_000;
    this.valueBytes = subject.valueBytes ?? 1024 * 1024;
    this.waiters = subject.waiters ?? 500;
    this.joinedMs = subject.joinedMs ?? joinedMs;
  }

  /** Long enough that it does not end within a case. */
  get longMs(): number {
    return 20_000 + this.ttlMs * 4;
  }

  /** Another client of the store. */
  async client(options: { readonly prefix?: string } = {}): Promise<LockBackend> {
    const client = await this.#store.connect(options);
    this.#clients.push(client);
    return client;
  }

  /** Two, for most cases. */
  async pair(): Promise<readonly [LockBackend, LockBackend]> {
    return [await this.client(), await this.client()];
  }

  /** A lease that does not end by itself within the case. */
  hold(client: LockBackend, resource: string, waitMs = 0): Promise<Lease> {
    return client.acquire(resource, { ttlMs: this.longMs, waitMs });
  }

  /** A lease that will end soon. */
  holdBriefly(client: LockBackend, resource: string, waitMs = 0): Promise<Lease> {
    return client.acquire(resource, { ttlMs: this.ttlMs, waitMs });
  }

  /** Time for a short lease to end, and for the store to notice. */
  get expiryMs(): number {
    return this.ttlMs * 2 + this.slackMs;
  }

  /** Waits until this is so, looking often. */
  async until(
    isSo: () => boolean | Promise<boolean>,
    what: string,
    limitMs = this.expiryMs,
  ): Promise<void> {
    const endMs = performance.now() + limitMs;
    while (!(await isSo())) {
      if (performance.now() > endMs) expect.unreachable(`${what}, within ${limitMs} ms`);
      await elapse(2);
    }
  }

  /** Waits until a count of requests stands still: who asks to be in line is in it then. */
  async settled(count: () => number, pauseMs = quietMs): Promise<void> {
    let last = count();
    let sinceMs = performance.now();
    let looks = 0;
    await this.until(
      () => {
        looks++;
        if (count() !== last) {
          last = count();
          sinceMs = performance.now();
          looks = 0;
        }
        return looks >= quietLooks && performance.now() - sinceMs >= pauseMs;
      },
      "a pause in the requests",
      this.longMs,
    );
  }

  /** That this settles in time: nothing may hang. */
  async within<T>(promise: Promise<T>, what: string, limitMs = this.expiryMs): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${what} took longer than ${limitMs} ms`)),
        limitMs,
      );
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await this.faults.mend?.(client);
    await Promise.all(this.#clients.map((client) => client[Symbol.asyncDispose]()));
  }
}
