/**
 * Read, compute, write if nothing changed; again if something did. Callers of this process that want to
 * change one resource do not get in each other's way: what is in line is computed one on top of the
 * other and written as one. The write is a compare-and-set; where that is often wasted, or a caller
 * starves, or what it computes takes long, it is made under a lease, in the line of the store.
 *
 * When is a caller answered that wrote nothing, or was refused by what it read? Also only after the store
 * has confirmed that it read the latest: a cached value decides nothing.
 */
import type { Environment } from "../environment.ts";
import { ClosedError, OverloadedError } from "../errors.ts";
import { silentTelemetry, type Telemetry } from "../telemetry.ts";
import { Contention, type Strategy } from "./contention.ts";
import { byHeat, type LaneFigure } from "./lane-figures.ts";
import type { Guarded, LockBackend } from "./locks.ts";
import { defaultTtlMs, defaultWaitMs, type OnFailure } from "./named-locks.ts";
import { tracedHere } from "./spans.ts";
import { type Caller, type Tally, UpdateLane } from "./update-lane.ts";

/** What a change makes of the present value. */
export interface Changed<R> {
  /** The new value; without it nothing is written. */
  readonly value?: Uint8Array;
  /** For the caller. */
  readonly result: R;
}

/**
 * Computes a change. It may run again on another value, so it has no effects outside. `version` is that of
 * `current` in the guard, 0 where nothing was ever written; undefined if another change comes before this
 * one in the same write.
 */
export type Change<R> = (
  current: Uint8Array | undefined,
  context: { readonly operationId: string },
  version: bigint | undefined,
) => Changed<R> | Promise<Changed<R>>;

/** How to update. */
export interface UpdateOptions {
  /** How long to wait for one's turn, in ms. Default 5,000. What is under way then is waited for. */
  readonly waitMs?: number;
  /** While it is under way the outcome is unknown to who aborts. */
  readonly signal?: AbortSignal;
  /** It takes long, or must not run twice for nothing: alone, under a lease of `ttlMs`. */
  readonly exclusive?: boolean;
  /** Of that lease, in ms. Default 10,000. */
  readonly ttlMs?: number;
}

/** What came of an update. */
export interface Updated<R> {
  readonly result: R;
  /** The guard that its result belongs to; `undefined` if nothing was ever written. */
  readonly guarded: Guarded | undefined;
}

/** Callers in line for one resource. */
export const queuedMax = 10_000;
/** Resources whose latest value is kept though nobody asks. */
const idleLanesMax = 1_000;
const operationIdBytes = 12;

/** Updates of guarded values over one backend. */
export class GuardedUpdates {
  readonly #backend: LockBackend;
  readonly #environment: Environment;
  readonly #newStrategy: () => Strategy;
  readonly #telemetry: Telemetry;
  readonly #onFailure: OnFailure | undefined;
  readonly #lanes = new Map<string, UpdateLane>();
  readonly #tally: Tally = { optimistic: 0, lease: 0, combined: 0, overtaken: 0, held: 0 };
  #isClosed = false;

  /** `newStrategy`: how one resource is written, another one for each. `onFailure` is told of what was refused. */
  constructor(
    backend: LockBackend,
    environment: Environment,
    newStrategy: () => Strategy = () => new Contention(environment),
    telemetry: Telemetry = silentTelemetry,
    onFailure?: OnFailure,
  ) {
    this.#onFailure = onFailure;
    this.#backend = backend;
    this.#environment = environment;
    this.#newStrategy = newStrategy;
    this.#telemetry = telemetry;
  }

  /**
   * Changes one value. Linearizable.
   * @throws LockTimeoutError surely not applied; OverloadedError too many in line; UnknownOutcomeError,
   * LockUnavailableError as of the backend; what `change` throws, with nothing of it applied.
   */
  async update<R>(
    resource: string,
    change: Change<R>,
    options: UpdateOptions = {},
  ): Promise<Updated<R>> {
    const { signal, waitMs = defaultWaitMs, ttlMs = defaultTtlMs, exclusive = false } = options;
    if (this.#isClosed) throw new ClosedError("the guarded updates are closed");
    signal?.throwIfAborted();
    const lane = this.#lane(resource);
    if (lane.queued >= queuedMax) {
      throw new OverloadedError(`${lane.queued} callers wait to update ${resource} already`);
    }
    return new Promise((resolve, reject) => {
      let settled: Changed<R> | undefined;
      const clean = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", abort);
      };
      const caller: Caller = {
        ...{ exclusive, ttlMs, traced: tracedHere(this.#telemetry) },
        endMs: this.#environment.monotonic() + waitMs,
        change: async (current, version) => {
          settled = await change(current, context, version);
          return settled.value;
        },
        applied: (guarded) => {
          clean();
          if (settled) resolve({ result: settled.result, guarded });
        },
        refused: (error) => {
          clean();
          this.#onFailure?.(resource, error);
          reject(error);
        },
      };
      const draw = (): string => this.#operationId();
      let operationId: string | undefined;
      const context = {
        // Most changes do not ask for it, and randomness costs more than they do.
        get operationId() {
          operationId ??= draw();
          return operationId;
        },
      };
      const abort = (): void => {
        lane.abandon(caller);
        caller.refused(signal?.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      const timer = this.#environment.schedule(waitMs, () => {
        if (lane.leave(caller)) caller.refused(lane.late(caller));
      });
      lane.enter(caller);
    });
  }

  /** The values that were contended or are waited for, the hottest first. O(values). */
  hotSpots(count: number): readonly LaneFigure[] {
    return [...this.#lanes.values()]
      .map(({ figure }) => figure)
      .filter(({ conflicts, leases, queued }) => conflicts + leases + queued > 0)
      .toSorted(byHeat)
      .slice(0, count);
  }

  /** What was done so far, and how many wait. O(resources). */
  get counts(): Readonly<Tally> & { readonly queued: number } {
    let queued = 0;
    for (const lane of this.#lanes.values()) queued += lane.queued;
    return { ...this.#tally, queued };
  }

  /** Refuses who waits, and resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const closed = new ClosedError("the guarded updates were closed meanwhile");
    await Promise.all([...this.#lanes.values()].map((lane) => lane.close(closed)));
  }

  #lane(resource: string): UpdateLane {
    const known = this.#lanes.get(resource);
    const lane =
      known ??
      new UpdateLane({
        ...{ resource, backend: this.#backend, environment: this.#environment },
        operationId: () => this.#operationId(),
        ...{ strategy: this.#newStrategy(), telemetry: this.#telemetry },
        tally: this.#tally,
      });
    this.#lanes.delete(resource);
    this.#lanes.set(resource, lane);
    if (!known) this.#forget();
    return lane;
  }

  #forget(): void {
    for (const [resource, lane] of this.#lanes) {
      if (this.#lanes.size <= idleLanesMax) return;
      if (lane.isIdle) this.#lanes.delete(resource);
    }
  }

  #operationId(): string {
    return Buffer.from(this.#environment.randomBytes(operationIdBytes)).toString("hex");
  }
}
