/**
 * A backend that may be slow, overrun or dead, made bearable: each call has a deadline, so many run at
 * once, and when it is dead that is answered at once. What is done under a lease is never turned away:
 * whoever holds a lock must be able to renew, commit and give back while the backend can do it at all. So
 * that has a circuit of its own, which only counts.
 *
 * "No" is an answer: a conflict, a stale token, a wait that ended say that the backend is well.
 */
import type { Environment } from "../environment.ts";
import {
  ClosedError,
  InvalidValueError,
  LeaseLostError,
  LockUnavailableError,
  TrellisError,
  UnknownOutcomeError,
  UsageError,
} from "../errors.ts";
import { silentTelemetry, type Telemetry } from "../telemetry.ts";
import { Bulkhead } from "./bulkhead.ts";
import { Circuit, type CircuitState } from "./circuit.ts";
import type {
  AcquireOptions,
  Guarded,
  Lease,
  LockBackend,
  LockGuarantees,
  Operated,
  Operation,
  ReadOptions,
  Section,
} from "./locks.ts";

/** How long a call may take beyond what it waits for by its own wish, in ms. */
export const callMsMax = 10_000;
/** Reads and writes without a lease. */
const calls = { activeMax: 256, queuedMax: 10_000 };
/** Those who stand in lines of the store. */
const acquires = { activeMax: 10_000, queuedMax: 0 };

/** How a backend does. */
export interface BackendStatus {
  readonly name: string;
  /** Acquires, reads, and writes without a lease: not `closed` turns them away. */
  readonly calls: CircuitState;
  /** What is done under leases; nothing is turned away. */
  readonly leases: CircuitState;
  readonly active: number;
  readonly queued: number;
}

/** What is counted of a backend. */
export interface BackendFigures extends Pick<BackendStatus, "active" | "queued"> {
  readonly circuits: readonly {
    readonly circuit: "calls" | "leases";
    readonly state: CircuitState;
    readonly failures: number;
    readonly openings: number;
  }[];
  /** Calls that were refused because too many waited. */
  readonly shed: number;
  readonly renewalFailures: number;
  readonly leasesLost: number;
}

/** What is asked of a backend. */
type Call = Exclude<keyof LockBackend, "name" | "guarantees" | symbol> | "renew" | "release";

/** A backend behind a deadline, two circuits and a bulkhead. */
export class ResilientLocks implements LockBackend {
  readonly operate?: NonNullable<LockBackend["operate"]>;
  readonly #backend: LockBackend;
  readonly #environment: Environment;
  readonly #calls: Circuit;
  readonly #leases: Circuit;
  readonly #callers = new Bulkhead(calls);
  readonly #acquirers = new Bulkhead(acquires);
  readonly #inner = new WeakMap<Lease, Lease>();
  readonly #telemetry: Telemetry;
  #renewalFailures = 0;
  #leasesLost = 0;

  constructor(
    backend: LockBackend,
    environment: Environment,
    telemetry: Telemetry = silentTelemetry,
  ) {
    this.#backend = backend;
    this.#environment = environment;
    this.#telemetry = telemetry;
    this.#calls = new Circuit(environment);
    this.#leases = new Circuit(environment);
    const operate = backend.operate?.bind(backend);
    if (operate) this.operate = (...call) => this.#operate(operate, ...call);
  }

  get name(): string {
    return this.#backend.name;
  }

  get guarantees(): LockGuarantees {
    return this.#backend.guarantees;
  }

  get status(): BackendStatus {
    return {
      name: this.name,
      calls: this.#calls.state,
      leases: this.#leases.state,
      active: this.#callers.active + this.#acquirers.active,
      queued: this.#callers.queued,
    };
  }

  /** What is counted. */
  get figures(): BackendFigures {
    return {
      circuits: [
        { circuit: "calls", state: this.#calls.state, ...this.#calls.counts },
        { circuit: "leases", state: this.#leases.state, ...this.#leases.counts },
      ],
      active: this.#callers.active + this.#acquirers.active,
      queued: this.#callers.queued,
      shed: this.#callers.refused + this.#acquirers.refused,
      renewalFailures: this.#renewalFailures,
      leasesLost: this.#leasesLost,
    };
  }

  birth(options: ReadOptions = {}): Promise<string> {
    return this.#call("birth", () => this.#backend.birth(options), options.signal);
  }

  async acquire(resource: string, options: AcquireOptions): Promise<Lease> {
    const overdue = new AbortController();
    const { signal } = overdue;
    const stop = (): void => overdue.abort(options.signal?.reason);
    if (options.signal?.aborted === true) stop();
    options.signal?.addEventListener("abort", stop, { once: true });
    try {
      const lease = await this.#acquirers.run(() =>
        this.#through(
          async () => {
            const granted = await this.#backend.acquire(resource, { ...options, signal });
            if (signal.aborted) await granted[Symbol.asyncDispose]();
            signal.throwIfAborted();
            return granted;
          },
          {
            call: "acquire",
            limitMs: options.waitMs + callMsMax,
            late: () => this.#unavailable("it may be held", resource),
            // The backend gives back what it may have got.
            giveUp: () => overdue.abort(this.#unavailable("it may be held", resource)),
            signal: options.signal,
          },
        ),
      );
      return this.#watched(lease);
    } finally {
      options.signal?.removeEventListener("abort", stop);
    }
  }

  read(resource: string, options: ReadOptions = {}): Promise<Guarded | undefined> {
    return this.#call("read", () => this.#backend.read(resource, options), options.signal);
  }

  commit(sections: readonly Section[], operationId: string): Promise<readonly Guarded[]> {
    const inner = sections.map((section) => {
      return { ...section, lease: this.#inner.get(section.lease) ?? section.lease };
    });
    return this.#under(
      "commit",
      () => this.#backend.commit(inner, operationId),
      () => this.#unknown(operationId),
    );
  }

  compareAndSet(
    resource: string,
    expectedVersion: bigint | undefined,
    value: Uint8Array,
    operationId: string,
  ): Promise<Guarded> {
    return this.#call(
      "compareAndSet",
      () => this.#backend.compareAndSet(resource, expectedVersion, value, operationId),
      undefined,
      () => this.#unknown(operationId),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backend[Symbol.asyncDispose]();
  }

  #operate(
    operate: NonNullable<LockBackend["operate"]>,
    resource: string,
    operation: Operation,
    operationId: string,
  ): Promise<Operated> {
    return this.#call(
      "operate",
      () => operate(resource, operation, operationId),
      undefined,
      () => this.#unknown(operationId),
    );
  }

  #watched(inner: Lease): Lease {
    const late = (): Error => this.#unavailable("it may be held", inner.resource);
    let isLost = false;
    const lease: Lease = {
      resource: inner.resource,
      token: inner.token,
      current: inner.current,
      get lost() {
        return inner.lost;
      },
      renew: () => this.#under("renew", () => this.#counted(inner.renew()), late),
      release: () => {
        if (!isLost && inner.lost.aborted) this.#leasesLost++;
        isLost ||= inner.lost.aborted;
        return this.#under("release", () => inner.release(), late);
      },
      [Symbol.asyncDispose]: async () => {
        await lease.release().catch(() => undefined);
      },
    };
    this.#inner.set(lease, inner);
    return lease;
  }

  #counted(renewal: Promise<void>): Promise<void> {
    renewal.catch((error: unknown) => {
      const isOver = error instanceof LeaseLostError || error instanceof ClosedError;
      if (!isOver) this.#renewalFailures++;
    });
    return renewal;
  }

  /** Without a lease: in line, and not at all while the circuit is open. */
  async #call<T>(
    call: Call,
    work: () => Promise<T>,
    signal?: AbortSignal,
    late: () => Error = () => this.#unavailable("it did not answer in time"),
  ): Promise<T> {
    this.#checkClosed();
    return this.#callers.run(
      () => this.#through(work, { call, limitMs: callMsMax, late, signal }),
      signal,
    );
  }

  /** Who waited in line while it broke is told so too. */
  #checkClosed(): void {
    if (this.#calls.state === "open" && this.#calls.leftMs > 0) throw this.#open();
  }

  /** Under a lease: at once, whatever the circuits say. */
  async #under<T>(call: Call, work: () => Promise<T>, late: () => Error): Promise<T> {
    try {
      const result = await this.#inTime(work, { call, limitMs: callMsMax, late });
      this.#leases.succeeded();
      return result;
    } catch (error) {
      tell(this.#leases, error);
      throw error;
    }
  }

  async #through<T>(
    work: () => Promise<T>,
    limits: Limits & { readonly signal?: AbortSignal | undefined },
  ): Promise<T> {
    if (!this.#calls.enter()) throw this.#open();
    try {
      const result = await this.#inTime(work, limits);
      this.#calls.succeeded();
      return result;
    } catch (error) {
      if (limits.signal?.aborted === true) this.#calls.abandoned();
      else tell(this.#calls, error);
      throw error;
    }
  }

  #inTime<T>(work: () => Promise<T>, limits: Limits): Promise<T> {
    const { call } = limits;
    const beganMs = this.#environment.monotonic();
    return new Promise((resolve, reject) => {
      const timer = this.#environment.schedule(limits.limitMs, () => {
        reject(limits.late());
        limits.giveUp?.();
      });
      const working = work();
      working.then(resolve, reject);
      const over = (): void => {
        timer.cancel();
        const tookMs = this.#environment.monotonic() - beganMs;
        this.#telemetry.observe("trellis_backend_call_ms", tookMs, { call });
      };
      working.then(over, over);
    });
  }

  #open(): LockUnavailableError {
    const leftMs = Math.ceil(this.#calls.leftMs);
    return this.#unavailable(`it failed again and again; nothing was sent, ask in ${leftMs} ms`);
  }

  #unavailable(what: string, resource?: string): LockUnavailableError {
    return new LockUnavailableError(`${this.name} is not available: ${what}`, {
      backend: this.name,
      ...(resource === undefined ? {} : { resource }),
    });
  }

  #unknown(operationId: string): UnknownOutcomeError {
    const why = `${this.name} did not say in time what came of ${operationId}`;
    return new UnknownOutcomeError(`${why}: it may have taken effect, once`, { operationId });
  }
}

/** Of one call. */
interface Limits {
  readonly call: Call;
  readonly limitMs: number;
  readonly late: () => Error;
  readonly giveUp?: () => void;
}

/** Tells a circuit what an error says of the backend. */
function tell(circuit: Circuit, error: unknown): void {
  if (error instanceof LockUnavailableError || error instanceof UnknownOutcomeError) {
    circuit.failed();
  } else if (error instanceof ClosedError || isOfTheCaller(error)) circuit.abandoned();
  else if (error instanceof TrellisError) circuit.succeeded();
  else circuit.failed();
}

/** It was never sent. */
const isOfTheCaller = (error: unknown): boolean =>
  error instanceof UsageError || error instanceof InvalidValueError;
