/**
 * `withLock`: run something while nobody else runs it. The lease is renewed meanwhile; if it is lost all
 * the same, its signal says so at once, and the caller is told at the end that another may have run too.
 * What must never happen twice has to ask for the token: a lock only makes it rare.
 */
import type { Environment } from "../environment.ts";
import { ClosedError, LockTimeoutError } from "../errors.ts";
import { silentTelemetry, type Telemetry } from "../telemetry.ts";
import { HeldLocks, inOrder } from "./held-locks.ts";
import { LocalLines } from "./local-lines.ts";
import { LockFigures } from "./lock-figures.ts";
import type { Lease, LockBackend } from "./locks.ts";
import { Renewal } from "./renewal.ts";
import { acquireSpan, guardAttributes } from "./spans.ts";

/** The default of every `waitMs`. */
export const defaultWaitMs = 5_000;
/** The default of every `ttlMs`. */
export const defaultTtlMs = 10_000;

/** How to hold. */
export interface WithLockOptions {
  /** How long to wait, in ms; 0 does not. Default 5,000. */
  readonly waitMs?: number;
  /** How long others stay out if this process dies, in ms. Default 10,000. */
  readonly ttlMs?: number;
  /** The longest that it may be held, in ms. Without it, as long as the function runs. */
  readonly maxHoldMs?: number;
  readonly signal?: AbortSignal;
  /** Locks of a lower rank are taken before those of a higher one. Default 0. */
  readonly rank?: number;
}

/** How to hold beyond one call. */
export interface HoldOptions extends WithLockOptions {
  /** Not to be granted is an answer, and no failure that somebody should see. */
  readonly isProbe?: boolean;
  /** Nobody's work ends it: it is given back when the locks are closed, and who has it is told so by `closing`. */
  readonly isLasting?: boolean;
}

/** How to take one of several locks. */
type TakeOptions = HoldOptions & { readonly waitMs: number; readonly signal: AbortSignal };

/** Told of what failed, and why. Never throws. */
export type OnFailure = (resource: string, error: unknown) => void;

/** One lock that is held here. */
interface Holding {
  readonly lease: Lease;
  readonly renewal: Renewal;
  readonly resource: string;
  readonly leave: () => void;
  /** On the monotonic clock. */
  readonly sinceMs: number;
}

/** A lock that is held beyond one call. */
export interface HeldLease {
  /** Renewed meanwhile. */
  readonly lease: Lease;
  /** Gives it back. Never throws; harmless twice. */
  readonly release: () => Promise<void>;
}

/** Locks by name, of one backend. */
export class NamedLocks {
  readonly figures: LockFigures;
  readonly #backend: LockBackend;
  readonly #environment: Environment;
  readonly #telemetry: Telemetry;
  readonly #onFailure: OnFailure | undefined;
  readonly #lines: LocalLines;
  readonly #held = new HeldLocks();
  readonly #holdings = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  /** Releases each lock that no work ends. */
  readonly #lasting = new Set<() => Promise<void>>();
  /** Ends the waiting of each call that has not got all its locks yet. */
  readonly #waiting = new Set<AbortController>();
  #heldCount = 0;
  #isClosed = false;

  /** `onFailure` is told of what was not granted and of what was lost. */
  constructor(
    backend: LockBackend,
    environment: Environment,
    telemetry: Telemetry = silentTelemetry,
    onFailure?: OnFailure,
  ) {
    this.#backend = backend;
    this.#telemetry = telemetry;
    this.#environment = environment;
    this.#onFailure = onFailure;
    this.#lines = new LocalLines(environment);
    this.figures = new LockFigures(environment);
  }

  /**
   * Runs `run` while this process holds the lock.
   * @throws LockTimeoutError surely not granted, and not run; LockUnavailableError not run, but it may be
   * held; LeaseLostError it ran, and another may have run at the same time; UsageError out of order with
   * what the caller holds; what `run` throws.
   */
  withLock<T>(
    resource: string,
    run: (lease: Lease) => T | Promise<T>,
    options: WithLockOptions = {},
  ): Promise<T> {
    return this.withLocks([resource], ([lease]) => run(lease as Lease), options);
  }

  /** The same for several at once, each taken in the order that all agree on. The leases come in that of the names. */
  async withLocks<T>(
    resources: readonly string[],
    run: (leases: readonly Lease[]) => T | Promise<T>,
    options: WithLockOptions = {},
  ): Promise<T> {
    if (this.#isClosed) throw new ClosedError("the locks are closed");
    const { rank = 0, waitMs = defaultWaitMs } = options;
    const ranks = inOrder(resources).map((resource) => ({ rank, resource }));
    const [first] = ranks;
    // Who does not wait cannot wait for ever.
    if (first && waitMs > 0) this.#held.check(first);
    const work = this.#held.holding(ranks, () => this.#run(ranks, resources, run, options));
    this.#holdings.add(work);
    const over = (): void => void this.#holdings.delete(work);
    work.then(over, over);
    return work;
  }

  /**
   * Takes the lock for longer than one call: it is renewed until it is released or lost. What is held so is nobody's
   * in particular, so nothing is known of the order in which it is taken.
   * @throws LockTimeoutError surely not granted; LockUnavailableError it may be held; ClosedError; the reason of `signal`.
   */
  async hold(resource: string, options: HoldOptions = {}): Promise<HeldLease> {
    if (this.#isClosed) throw new ClosedError("the locks are closed");
    const holdings = new Map<string, Holding>();
    await this.#takeAll([{ resource }], holdings, options);
    const holding = holdings.get(resource);
    if (holding === undefined) throw new Error("assertion: a lock that was not taken");
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#holdings.add(ended);
    const letGo = async (): Promise<void> => {
      this.#lasting.delete(release);
      await this.#letGo(holding);
      this.#holdings.delete(ended);
      end();
    };
    let released: Promise<void> | undefined;
    const release = (): Promise<void> => (released ??= letGo());
    if (options.isLasting === true) this.#lasting.add(release);
    return { lease: holding.lease, release };
  }

  /** Aborts when the locks are closed, before anything is given back. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Runs `work` as one who holds these, which it takes itself, in this order.
   * @throws UsageError out of order with what the caller holds
   */
  inOrder<T>(resources: readonly string[], work: () => Promise<T>): Promise<T> {
    const ranks = resources.map((resource) => ({ rank: 0, resource }));
    const [first] = ranks;
    if (first) this.#held.check(first);
    return this.#held.holding(ranks, work);
  }

  /** Whether the caller runs under this lock: to wait for it would be to wait for oneself. */
  isHeldHere(resource: string): boolean {
    return this.#held.has(resource);
  }

  /** Calls that have not got all of theirs, and locks that are held here. */
  get counts(): { readonly waiting: number; readonly held: number } {
    return { waiting: this.#waiting.size, held: this.#heldCount };
  }

  /** Nobody is let in any more; resolves when nobody is in. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#closing.abort(new ClosedError("the locks were closed"));
    for (const waiting of this.#waiting) {
      waiting.abort(new ClosedError("the locks were closed meanwhile"));
    }
    await Promise.allSettled([...this.#lasting].map((release) => release()));
    await Promise.allSettled(this.#holdings);
  }

  async #run<T>(
    ranks: readonly { readonly resource: string }[],
    resources: readonly string[],
    run: (leases: readonly Lease[]) => T | Promise<T>,
    options: WithLockOptions,
  ): Promise<T> {
    const holdings = new Map<string, Holding>();
    try {
      await this.#takeAll(ranks, holdings, options);
      const leases = resources.flatMap((resource) => holdings.get(resource)?.lease ?? []);
      const result = await run(leases);
      for (const lease of leases) lease.lost.throwIfAborted();
      return result;
    } finally {
      await Promise.all([...holdings.values()].map((holding) => this.#letGo(holding)));
    }
  }

  async #takeAll(
    ranks: readonly { readonly resource: string }[],
    holdings: Map<string, Holding>,
    options: HoldOptions,
  ): Promise<void> {
    const endMs = this.#environment.monotonic() + (options.waitMs ?? defaultWaitMs);
    const waiting = new AbortController();
    const given = options.signal;
    const abort = (): void => waiting.abort(given?.reason);
    if (given?.aborted === true) abort();
    given?.addEventListener("abort", abort, { once: true });
    this.#waiting.add(waiting);
    const { signal } = waiting;
    try {
      for (const { resource } of ranks) {
        signal.throwIfAborted();
        const waitMs = Math.max(0, endMs - this.#environment.monotonic());
        holdings.set(resource, await this.#take(resource, { ...options, waitMs, signal }));
      }
    } catch (error) {
      if (error instanceof LockTimeoutError && options.isProbe !== true)
        this.#telemetry.count("trellis_lock_timeouts_total");
      throw error;
    } finally {
      this.#waiting.delete(waiting);
      given?.removeEventListener("abort", abort);
    }
  }

  async #take(resource: string, options: TakeOptions): Promise<Holding> {
    const { ttlMs = defaultTtlMs, maxHoldMs, waitMs, signal } = options;
    const startedMs = this.#environment.monotonic();
    this.figures.waits(resource);
    let leave = (): void => undefined;
    const acquire = async (): Promise<Lease> => {
      leave = await this.#lines.enter(resource, { waitMs, signal });
      return this.#backend.acquire(resource, {
        ...{ ttlMs, signal },
        ...(maxHoldMs === undefined ? {} : { maxHoldMs }),
        waitMs: Math.max(0, waitMs - (this.#environment.monotonic() - startedMs)),
      });
    };
    try {
      const { tracer } = this.#telemetry;
      const attributes = guardAttributes(tracer, this.#backend.name, resource);
      const lease = await acquireSpan(this.#telemetry, attributes, acquire);
      const sinceMs = this.#environment.monotonic();
      this.figures.granted(resource, sinceMs - startedMs);
      this.#heldCount++;
      this.#telemetry.observe("trellis_lock_wait_ms", sinceMs - startedMs);
      const renewal = new Renewal(lease, ttlMs, this.#environment);
      return { lease, renewal, resource, leave, sinceMs };
    } catch (error) {
      const isLate = error instanceof LockTimeoutError;
      this.figures.waitedInVain(resource, isLate ? "timeouts" : "failures");
      if (!isLate || options.isProbe !== true) this.#onFailure?.(resource, error);
      leave();
      throw error;
    }
  }

  /** The error of what ran under it matters more than that of a release: the lease runs out by itself. */
  async #letGo({ lease, renewal, resource, leave, sinceMs }: Holding): Promise<void> {
    renewal.stop();
    const { lost } = lease;
    this.figures.released(resource, this.#environment.monotonic() - sinceMs, lost.aborted);
    if (lost.aborted) this.#onFailure?.(resource, lost.reason);
    await lease[Symbol.asyncDispose]();
    this.#heldCount--;
    this.#telemetry.observe("trellis_lock_hold_ms", this.#environment.monotonic() - sinceMs);
    leave();
  }
}
