/**
 * Changes that carry a key of their caller: however often one is asked for, on whatever replica, it counts
 * once. It is set aside on the own disk first, with the rights that it spends, then the key is claimed in the
 * strong store, then it counts, or, if somebody else has the key, the rights are there again. What is set
 * aside and not decided when a process dies is decided when its directory is opened again.
 *
 * An increment without an upper bound spends no right: only what it is to create is set aside. If its process
 * dies after the claim it counts when the directory is opened again; if that never happens it is lost, though
 * whoever repeats it is told that it is done.
 */
import { type Environment, fraction } from "../../environment.ts";
import {
  CounterRangeError,
  InsufficientError,
  LockTimeoutError,
  LockUnavailableError,
  OverloadedError,
  RightsUnavailableError,
  UnknownOutcomeError,
} from "../../errors.ts";
import type { GuardedUpdates } from "../guarded-updates.ts";
import type { Contact } from "./contact.ts";
import type { Holding, Pending } from "./holding.ts";
import { keyHash } from "./key-hash.ts";
import type { WaitForRights } from "./line.ts";
import { claim, findClaim, onceResource } from "./once-record.ts";
import { stepTtlMs } from "./pool-opening.ts";
import type { Side } from "./pool.ts";
import { closing, unavailable } from "./refusals.ts";
import type { RightsJournal } from "./rights-journal.ts";

/** What keyed changes are made of. */
export interface KeyedOptions {
  readonly environment: Environment;
  readonly updates: GuardedUpdates;
  readonly journal: RightsJournal;
}

/** A change with a key. */
export interface Keyed extends WaitForRights {
  /** What it spends. */
  readonly side: Side;
  readonly by: number;
  /** Before an increment without an upper bound is set aside. @throws CounterRangeError */
  readonly check: () => void;
  readonly idempotencyKey: string;
  readonly windowMs: number;
}

const operationBytes = 8;
const claimWaitMs = 2_000;
/** Between two attempts at a store that does not answer, in ms. */
const againMsMin = 50;
const againMsMax = 10_000;
/** Keys that are being decided in this process. */
const runningMax = 10_000;

/** The keyed changes of one replica. */
export class KeyedChanges {
  readonly #options: KeyedOptions;
  /** By the hash of the key: who asks again meanwhile gets the same answer. */
  readonly #running = new Map<string, Promise<void>>();
  readonly #waits = new Set<() => void>();
  #isClosed = false;
  /** Calls whose key was used, so that they changed nothing. */
  repetitions = 0;

  constructor(options: KeyedOptions) {
    this.#options = options;
  }

  /**
   * @throws UnknownOutcomeError when the store did not say in time; it is decided all the same, and asking
   * again tells. As of `decrement` and `increment` otherwise.
   */
  async change(contact: Contact, keyed: Keyed): Promise<void> {
    const { collection, key } = contact.holding;
    const { side, idempotencyKey } = keyed;
    // Each direction has keys of its own.
    const direction = side === "down" ? [] : [side];
    const hash = keyHash(collection, key, idempotencyKey, ...direction);
    const known = this.#running.get(hash);
    if (known) {
      this.repetitions++;
      return this.#inTime(known, keyed);
    }
    if (this.#running.size >= runningMax) {
      throw new OverloadedError(`${runningMax} keys are being decided; nothing was changed`);
    }
    const running = this.#change(contact, hash, keyed);
    this.#running.set(hash, running);
    const clean = (): void => void this.#running.delete(hash);
    running.then(clean, clean);
    return this.#inTime(running, keyed);
  }

  /** Decides what was set aside. Tries until it is decided, or the replica is closed. */
  async resolve(holding: Holding, pending: Pending): Promise<void> {
    const { environment } = this.#options;
    for (let attempt = 0; ; attempt++) {
      if (this.#isClosed) throw closing();
      try {
        const isOurs = await this.#claim(holding.collection, pending);
        holding.settle(pending, isOurs);
        if (!isOurs) this.repetitions++;
        return;
      } catch (error) {
        if (error instanceof OverloadedError) {
          // It was not claimed, and is not going to be.
          holding.settle(pending, false);
          throw error;
        }
        const againMs = Math.min(againMsMax, againMsMin * 2 ** Math.min(attempt, 10));
        await this.#sleep(againMs * (0.5 + fraction(environment)));
      }
    }
  }

  /** What is not decided stays set aside, on the disk. */
  close(): void {
    this.#isClosed = true;
    for (const wake of this.#waits) wake();
  }

  /** After `close`: resolves when no claim is under way any more, which takes no longer than one may. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#running.values());
  }

  async #change(contact: Contact, hash: string, keyed: Keyed): Promise<void> {
    const { environment, journal } = this.#options;
    const { holding } = contact;
    const { side, by, windowMs } = keyed;
    const drawn = environment.randomBytes(operationBytes);
    const pending = { operation: Buffer.from(drawn).toString("hex"), hash, side, by, windowMs };
    if (!(await this.#setAside(contact, pending, keyed))) {
      this.repetitions++;
      return;
    }
    await this.resolve(holding, pending);
    await journal.written();
    if (holding.account(side)) contact.serve();
    else contact.created();
  }

  /** False when the key turns out to be used: then nothing is to be done. */
  async #setAside(contact: Contact, pending: Pending, keyed: Keyed): Promise<boolean> {
    const { holding } = contact;
    const take = (): boolean => {
      keyed.check();
      return holding.reserve(pending);
    };
    try {
      if (take()) await this.#options.journal.written();
      else {
        // The last right may have gone to the very call that this one repeats.
        if (await this.#isUsed(holding.collection, pending.hash)) return false;
        // Whose line ended meanwhile lets nobody in any more.
        if (this.#isClosed) throw closing();
        if (holding.stopped) throw holding.stopped;
        await contact.wait(pending.side, pending.by, take, keyed);
      }
      return true;
    } catch (error) {
      // Nothing was claimed yet.
      holding.settle(pending, false);
      if (error instanceof LockUnavailableError || error instanceof LockTimeoutError) {
        throw unavailable(holding, pending.by, [], error);
      }
      const isRefused =
        error instanceof InsufficientError ||
        error instanceof RightsUnavailableError ||
        error instanceof CounterRangeError;
      if (!isRefused) throw error;
      if (await this.#isUsed(holding.collection, pending.hash).catch(() => false)) return false;
      throw error;
    }
  }

  async #isUsed(collection: string, hash: string): Promise<boolean> {
    const { result } = await this.#options.updates.update(
      onceResource(collection, hash),
      (current) => ({ result: findClaim(current, hash) !== undefined }),
      { waitMs: claimWaitMs, ttlMs: stepTtlMs },
    );
    return result;
  }

  async #claim(collection: string, { operation, hash, windowMs }: Pending): Promise<boolean> {
    const { environment, updates } = this.#options;
    const { result } = await updates.update(
      onceResource(collection, hash),
      (current) => {
        const nowMs = environment.now();
        const wanted = { hash, operation, untilMs: nowMs + windowMs };
        const claimed = claim(current, wanted, nowMs);
        const isOurs = claimed.operation === operation;
        return claimed.value ? { value: claimed.value, result: isOurs } : { result: isOurs };
      },
      { waitMs: claimWaitMs, ttlMs: stepTtlMs },
    );
    return result;
  }

  /** Rights are waited for as long, and then the store as long again. */
  async #inTime(running: Promise<void>, { waitMs, signal, idempotencyKey }: Keyed): Promise<void> {
    const { environment } = this.#options;
    let giveUp: (error: unknown) => void = () => undefined;
    const late = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    const timer = environment.schedule(2 * waitMs + claimWaitMs, () => {
      const message = "whether the key was claimed is not known yet; ask again with the same key";
      giveUp(new UnknownOutcomeError(message, { operationId: idempotencyKey }));
    });
    const abort = (): void => giveUp(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await Promise.race([running, late]);
    } finally {
      timer.cancel();
      signal?.removeEventListener("abort", abort);
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waits.delete(wake);
        timer.cancel();
        resolve();
      };
      const timer = this.#options.environment.schedule(ms, wake);
      this.#waits.add(wake);
    });
  }
}
