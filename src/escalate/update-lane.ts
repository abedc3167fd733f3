/** The callers of this process that want to change one resource, and how their changes get written. */
import type { Environment } from "../environment.ts";
import { ConflictError, LeaseLostError, LockTimeoutError, StaleTokenError } from "../errors.ts";
import { type Attributes, spanned, type Telemetry } from "../telemetry.ts";
import type { Strategy } from "./contention.ts";
import { type LaneFigure, LaneFigures } from "./lane-figures.ts";
import type { Guarded, Lease, LockBackend } from "./locks.ts";
import { Renewal } from "./renewal.ts";
import { acquireSpan, guardAttributes, placeOf, type Traced, writeSpan } from "./spans.ts";

/** One who waits for a change. */
export interface Caller {
  /** Alone, and under a lease. */
  readonly exclusive: boolean;
  readonly ttlMs: number;
  /** When it gives up, on the monotonic clock. */
  readonly endMs: number;
  /** The span that it waits in, if somebody takes spans. */
  readonly traced?: Traced | undefined;
  /** The new value, or none. May run again. */
  readonly change: (
    current: Uint8Array | undefined,
    version: bigint | undefined,
  ) => Promise<Uint8Array | undefined>;
  /** Its last run counts. */
  readonly applied: (guarded: Guarded | undefined) => void;
  readonly refused: (error: unknown) => void;
}

/** What a lane works with. */
export interface LaneOptions {
  readonly resource: string;
  readonly backend: LockBackend;
  readonly environment: Environment;
  /** Another one each time. */
  readonly operationId: () => string;
  readonly strategy: Strategy;
  readonly telemetry: Telemetry;
  readonly tally: Tally;
}

/** What all lanes together have done so far. */
export interface Tally {
  /** Attempts, by how they were made. */
  optimistic: number;
  lease: number;
  /** Calls that were decided together with another, beyond the first of each attempt. */
  combined: number;
  /** Attempts that wrote nothing: another write came first, or a lease kept them out. */
  overtaken: number;
  held: number;
}

/** Changes in one write. */
const batchMax = 1_024;
/** What the last round trip took counts so much. */
const roundTripWeight = 0.2;

/** What the callers of one write made of a value. */
interface Computed {
  readonly value: Uint8Array | undefined;
  readonly wrote: boolean;
  /** Those whose change threw. */
  readonly failures: ReadonlyMap<Caller, unknown>;
}

/** One line and one write under way. */
export class UpdateLane {
  readonly #options: LaneOptions;
  /** Each with its number. */
  readonly #queue = new Map<Caller, number>();
  /** Those whose changes are under way. */
  #batch: Caller[] = [];
  readonly #abandoned = new WeakSet<Caller>();
  /** The latest guard that was seen; `"unknown"` after it was found outdated by who did not say more. */
  #known: Guarded | "absent" | "unknown" = "unknown";
  /** Callers so far: the number of the last. */
  #entered = 0;
  /** The number of the last one in the batch. */
  #taken = 0;
  /** Those up to this number had come before the store was asked for what is known: for them it is the latest. */
  #knownFor = 0;
  #roundTripMs = 1;
  readonly #figures = new LaneFigures();
  #restUntilMs = 0;
  #endRest: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** How contended it is. */
  get figure(): LaneFigure {
    const { decided, conflicts, held, leases } = this.#figures;
    return {
      resource: this.#options.resource,
      calls: this.#entered,
      ...{ decided, conflicts, held, leases, queued: this.queued + this.#batch.length },
      recentConflicts: this.#figures.heat(this.#options.environment.monotonic()),
      roundTripMs: this.#roundTripMs,
    };
  }

  get isIdle(): boolean {
    return this.#running === undefined;
  }

  enter(caller: Caller): void {
    this.#queue.set(caller, ++this.#entered);
    // A rest is over for who cannot wait for its end.
    if (caller.endMs <= this.#restUntilMs) this.#endRest?.();
    this.#running ??= this.#run();
  }

  /** True if nothing was done for it yet, and nothing will be. */
  leave(caller: Caller): boolean {
    return this.#queue.delete(caller);
  }

  /** It does not care any more: unless its change is on its way, nothing of it is written. */
  abandon(caller: Caller): void {
    this.leave(caller);
    this.#abandoned.add(caller);
  }

  late({ endMs }: Caller): LockTimeoutError {
    const { resource, environment } = this.#options;
    const overMs = Math.max(0, Math.round(environment.monotonic() - endMs));
    return new LockTimeoutError(
      `${resource} was not updated in time, ${overMs} ms ago; nothing was written`,
      { resource },
    );
  }

  async close(reason: Error): Promise<void> {
    for (const caller of this.#queue.keys()) caller.refused(reason);
    this.#queue.clear();
    this.#endRest?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever calls in this turn of the event loop is in the first write too.
    await Promise.resolve();
    while (this.#queue.size > 0) {
      this.#batch = [];
      await this.#letOthers();
      await this.#write();
    }
    this.#batch = [];
    this.#running = undefined;
  }

  /** Writes what is in line, until it is written or refused. */
  async #write(): Promise<void> {
    const { environment, strategy, tally } = this.#options;
    const beganMs = environment.monotonic();
    let held = 0;
    let takesIn = true;
    for (let conflicts = 0; this.#fill({ wasOvertaken: conflicts > 0, takesIn });) {
      const [first] = this.#batch;
      const met = { conflicts, held, waitUsed: conflicts > 0 ? this.#waitUsed(beganMs) : 0 };
      const attempt = first?.exclusive === true ? "lease" : strategy.choose(met);
      if (attempt === "lease") tally.lease++;
      else tally.optimistic++;
      try {
        if (attempt === "lease") this.#figures.leases++;
        const write = (): Promise<boolean> =>
          attempt === "lease" ? this.#underLease() : this.#compareAndSet(takesIn);
        // One write for all of them: it is in the span of the first.
        if (await (first?.traced ? first.traced.under(write) : write())) {
          this.#figures.decided++;
          this.#restUntilMs = environment.monotonic() + strategy.restMs(this.#roundTripMs);
          return;
        }
        // What was read now is the latest for those who are here, and not for who comes next.
        takesIn = false;
      } catch (error) {
        takesIn = true;
        this.#known = (error instanceof ConflictError ? error.current : undefined) ?? "unknown";
        if (!wasOvertaken(error)) {
          for (const caller of this.#batch) caller.refused(error);
          return;
        }
        conflicts++;
        const isHeld = error instanceof ConflictError && error.held === true;
        held = isHeld ? held + 1 : 0;
        this.#figures.conflicted(isHeld, environment.monotonic());
        if (isHeld) tally.held++;
        else tally.overtaken++;
        await this.#sleep(strategy.pauseMs({ conflicts, held }, this.#roundTripMs));
      }
    }
  }

  /** How much of the time of the most hurried is used, from 0 to 1. */
  #waitUsed(beganMs: number): number {
    const endMs = Math.min(...this.#batch.map((caller) => caller.endMs));
    const usedMs = this.#options.environment.monotonic() - beganMs;
    return Math.min(1, usedMs / Math.max(1, endMs - beganMs));
  }

  async #letOthers(): Promise<void> {
    const restMs = this.#restUntilMs - this.#options.environment.monotonic();
    if (restMs <= 0) return;
    for (const { endMs } of this.#queue.keys()) if (endMs <= this.#restUntilMs) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.environment.schedule(restMs, resolve);
      this.#endRest = () => {
        timer.cancel();
        resolve();
      };
    });
    this.#endRest = undefined;
  }

  /**
   * Lets out who is late after it was overtaken, and takes in who has come; false when nobody is left. Whose
   * turn came in time is waited for: who does not wait at all is tried once.
   */
  #fill({ wasOvertaken = false, takesIn = true } = {}): boolean {
    const nowMs = this.#options.environment.monotonic();
    const isLate = ({ endMs }: Caller): boolean => wasOvertaken && endMs <= nowMs;
    for (const caller of this.#batch.filter(isLate)) caller.refused(this.late(caller));
    const stays = (caller: Caller): boolean => !isLate(caller) && !this.#abandoned.has(caller);
    this.#batch = this.#batch.filter(stays);
    for (const [caller, number] of takesIn ? this.#queue : []) {
      const [first] = this.#batch;
      const fits = first === undefined || (!first.exclusive && !caller.exclusive);
      if (!fits || this.#batch.length >= batchMax) break;
      this.#queue.delete(caller);
      this.#batch.push(caller);
      this.#taken = number;
    }
    return this.#batch.length > 0;
  }

  /** True when all are answered; false when what they read was outdated, and nothing was written. */
  async #compareAndSet(takesIn: boolean): Promise<boolean> {
    const { resource, backend, environment, operationId, strategy } = this.#options;
    if (this.#known === "unknown") await this.#read();
    if (!this.#fill({ takesIn })) return true;
    // The others left meanwhile, and whoever is first now wants to be alone.
    if (this.#batch[0]?.exclusive === true) return false;
    const isFresh = this.#taken <= this.#knownFor;
    const base = this.#known === "absent" || this.#known === "unknown" ? undefined : this.#known;
    const beganMs = environment.monotonic();
    const computed = await this.#compute(base);
    if (!computed.wrote) {
      if (!isFresh && !isSame(await this.#read(), base)) return false;
      this.#answer(computed, base);
      return true;
    }
    const value = computed.value ?? new Uint8Array(0);
    const askedMs = environment.monotonic();
    const observe = (written?: Guarded): void => {
      const nowMs = environment.monotonic();
      this.#roundTripMs += roundTripWeight * (nowMs - askedMs - this.#roundTripMs);
      const roundTripMs = this.#roundTripMs;
      strategy.observe({
        written: written?.version,
        roundTripMs,
        computeMs: askedMs - beganMs,
        nowMs,
      });
    };
    this.#knownFor = this.#entered;
    try {
      const guarded = await this.#spanned("trellis.compare_and_set", () =>
        backend.compareAndSet(resource, base?.version, value, operationId()),
      );
      this.#known = guarded;
      observe(guarded);
      this.#answer(computed, guarded);
      return true;
    } catch (error) {
      if (wasOvertaken(error)) observe();
      throw error;
    }
  }

  /** Learns the present value. What was read before somebody called decides nothing for that one. */
  async #read(): Promise<Guarded | undefined> {
    this.#knownFor = this.#entered;
    const { backend, resource, telemetry } = this.#options;
    const now = await spanned(telemetry, "trellis.read", this.#attributes(), () =>
      backend.read(resource),
    );
    this.#known = now ?? "absent";
    return now;
  }

  async #underLease(): Promise<boolean> {
    const { resource, backend, environment, operationId, telemetry } = this.#options;
    const nowMs = environment.monotonic();
    const waitMs = Math.max(0, ...this.#batch.map(({ endMs }) => endMs - nowMs));
    const ttlMs = Math.max(...this.#batch.map((caller) => caller.ttlMs));
    const lease = await acquireSpan(telemetry, this.#attributes(), () =>
      backend.acquire(resource, { ttlMs, waitMs }),
    );
    const renewal = new Renewal(lease, ttlMs, environment);
    try {
      if (!this.#fill()) return true;
      const computed = await this.#compute(lease.current);
      lease.lost.throwIfAborted();
      const guarded = await this.#commit(lease, computed, operationId());
      this.#known = guarded ?? "absent";
      this.#answer(computed, guarded);
      return true;
    } finally {
      renewal.stop();
      await lease[Symbol.asyncDispose]();
    }
  }

  /** Also when nothing is to be written: that nothing was written by others is checked then. */
  async #commit(
    lease: Lease,
    { wrote, value }: Computed,
    operationId: string,
  ): Promise<Guarded | undefined> {
    const section = wrote && value ? { lease, value } : { lease };
    const [guarded] = await this.#spanned("trellis.commit", () =>
      this.#options.backend.commit([section], operationId),
    );
    return wrote ? guarded : lease.current;
  }

  /** Runs the changes one on top of the other. One that throws leaves nothing. */
  async #compute(base: Guarded | undefined): Promise<Computed> {
    let value = base?.value;
    let wrote = false;
    const failures = new Map<Caller, unknown>();
    for (const caller of this.#batch) {
      try {
        const present = value;
        const version = wrote ? undefined : (base?.version ?? 0n);
        const change = (): Promise<Uint8Array | undefined> => caller.change(present, version);
        const changed = await (caller.traced ? caller.traced.under(change) : change());
        if (changed === undefined) continue;
        value = changed;
        wrote = true;
      } catch (error) {
        failures.set(caller, error);
      }
    }
    return { value, wrote, failures };
  }

  #answer({ failures }: Computed, guarded: Guarded | undefined): void {
    this.#options.tally.combined += Math.max(0, this.#batch.length - 1);
    for (const caller of this.#batch) {
      if (failures.has(caller)) caller.refused(failures.get(caller));
      else caller.applied(guarded);
    }
  }

  /** A write in its span, which is linked to those of all whose changes are in it. */
  #spanned<T>(name: string, write: () => Promise<T>): Promise<T> {
    const { telemetry } = this.#options;
    if (telemetry.tracer === undefined) return write();
    const place = placeOf(this.#batch.map(({ traced }) => traced));
    const attributes = { ...this.#attributes(), "trellis.callers": this.#batch.length };
    return writeSpan(telemetry, name, attributes, write, place);
  }

  #attributes(): Attributes {
    const { backend, resource, telemetry } = this.#options;
    return guardAttributes(telemetry.tracer, backend.name, resource);
  }

  #sleep(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#options.environment.schedule(ms, resolve);
    });
  }
}

/** A store that was set back and adopted comes to the same versions again, with other values. */
const isSame = (now: Guarded | undefined, base: Guarded | undefined): boolean =>
  now?.version === base?.version &&
  (now === undefined || base === undefined || Buffer.compare(now.value, base.value) === 0);

/** Somebody was quicker, and nothing was written: it can be tried again. */
const wasOvertaken = (error: unknown): boolean =>
  error instanceof ConflictError ||
  error instanceof StaleTokenError ||
  error instanceof LeaseLostError;
