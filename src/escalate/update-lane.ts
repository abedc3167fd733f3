/** The callers of this process that want to change one resource, and how their changes get written. */
import type { Environment } from "../environment.ts";
import { ConflictError, LeaseLostError, LockTimeoutError, StaleTokenError } from "../errors.ts";
import { Contention } from "./contention.ts";
import type { Guarded, Lease, LockBackend } from "./locks.ts";
import { Pauses } from "./pauses.ts";
import { Renewal } from "./renewal.ts";

/** One who waits for a change. */
export interface Caller {
  /** Alone, and under a lease. */
  readonly exclusive: boolean;
  readonly ttlMs: number;
  /** When it gives up, on the monotonic clock. */
  readonly endMs: number;
  /** The new value, or none. May run again. */
  readonly change: (current: Uint8Array | undefined) => Promise<Uint8Array | undefined>;
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
}

/** Changes in one write. */
const batchMax = 1_024;
/** One that was overtaken so often stands in line. */
const conflictsMax = 4;
/** What the last attempts took counts so much. */
const attemptWeight = 0.2;

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
  readonly #queue = new Set<Caller>();
  /** Those whose changes are under way. */
  #batch: Caller[] = [];
  readonly #abandoned = new WeakSet<Caller>();
  readonly #contention = new Contention();
  /** The latest guard that was seen; `"unknown"` after it was found outdated. */
  #known: Guarded | "absent" | "unknown" = "unknown";
  /** What was known the last time was outdated: others write here, and reading first is the shorter way. */
  #isShared = false;
  #attemptMs = 1;
  #running: Promise<void> | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  get queued(): number {
    return this.#queue.size;
  }

  get isIdle(): boolean {
    return this.#running === undefined;
  }

  enter(caller: Caller): void {
    this.#queue.add(caller);
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
    for (const caller of this.#queue) caller.refused(reason);
    this.#queue.clear();
    await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever calls in this turn of the event loop is in the first write too.
    await Promise.resolve();
    while (this.#queue.size > 0) {
      this.#batch = [];
      await this.#write();
    }
    this.#batch = [];
    this.#running = undefined;
  }

  /** Writes what is in line, until it is written or refused. */
  async #write(): Promise<void> {
    const { environment } = this.#options;
    const pauses = new Pauses(environment, this.#attemptMs);
    for (let conflicts = 0; this.#fill(conflicts > 0);) {
      const startedMs = environment.monotonic();
      const [first] = this.#batch;
      const lease =
        first?.exclusive === true || conflicts >= conflictsMax || this.#contention.chooseLease();
      try {
        if (lease ? await this.#underLease() : await this.#compareAndSet()) {
          const tookMs = environment.monotonic() - startedMs;
          this.#attemptMs += attemptWeight * (tookMs - this.#attemptMs);
          return;
        }
      } catch (error) {
        this.#known = "unknown";
        if (!wasOvertaken(error)) {
          for (const caller of this.#batch) caller.refused(error);
          return;
        }
        // A lease of somebody keeps us out: the line is where to wait.
        conflicts =
          error instanceof ConflictError && error.held === true ? conflictsMax : conflicts + 1;
        if (conflicts < conflictsMax) await this.#sleep(pauses.next());
      }
    }
  }

  /**
   * Lets out who is late after it was overtaken, and takes in who has come; false when nobody is left. Whose
   * turn came in time is waited for: who does not wait at all is tried once.
   */
  #fill(wasOvertaken = false): boolean {
    const nowMs = this.#options.environment.monotonic();
    const isLate = ({ endMs }: Caller): boolean => wasOvertaken && endMs <= nowMs;
    for (const caller of this.#batch.filter(isLate)) caller.refused(this.late(caller));
    const stays = (caller: Caller): boolean => !isLate(caller) && !this.#abandoned.has(caller);
    this.#batch = this.#batch.filter(stays);
    for (const caller of this.#queue) {
      const [first] = this.#batch;
      const fits = first === undefined || (!first.exclusive && !caller.exclusive);
      if (!fits || this.#batch.length >= batchMax) break;
      this.#queue.delete(caller);
      this.#batch.push(caller);
    }
    return this.#batch.length > 0;
  }

  /** True when all are answered; false when what they read was outdated, and nothing was written. */
  async #compareAndSet(): Promise<boolean> {
    const { resource, backend, environment, operationId } = this.#options;
    let [isFresh, wasRead] = [false, false];
    if (this.#known === "unknown" || this.#isShared) {
      const before = this.#known;
      this.#known = (await backend.read(resource)) ?? "absent";
      if (before !== "unknown") this.#isShared = versionOf(before) !== versionOf(this.#known);
      // What was read before somebody called decides nothing for that one.
      isFresh = this.#queue.size === 0;
      wasRead = true;
      if (!this.#fill()) return true;
    }
    const base = this.#known === "absent" ? undefined : this.#known;
    const computed = await this.#compute(base);
    if (!computed.wrote) {
      if (!isFresh) {
        const now = await backend.read(resource);
        this.#known = now ?? "absent";
        if (!isSame(now, base)) return false;
      }
      this.#answer(computed, base);
      return true;
    }
    const value = computed.value ?? new Uint8Array(0);
    try {
      const guarded = await backend.compareAndSet(resource, base?.version, value, operationId());
      this.#known = guarded;
      this.#contention.observe(false, environment.monotonic());
      this.#answer(computed, guarded);
      return true;
    } catch (error) {
      if (wasOvertaken(error)) {
        if (!wasRead) this.#isShared = true;
        this.#contention.observe(true, environment.monotonic());
      }
      throw error;
    }
  }

  async #underLease(): Promise<boolean> {
    const { resource, backend, environment, operationId } = this.#options;
    const nowMs = environment.monotonic();
    const waitMs = Math.max(0, ...this.#batch.map(({ endMs }) => endMs - nowMs));
    const ttlMs = Math.max(...this.#batch.map((caller) => caller.ttlMs));
    const lease = await backend.acquire(resource, { ttlMs, waitMs });
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
    const [guarded] = await this.#options.backend.commit([section], operationId);
    return wrote ? guarded : lease.current;
  }

  /** Runs the changes one on top of the other. One that throws leaves nothing. */
  async #compute(base: Guarded | undefined): Promise<Computed> {
    let value = base?.value;
    let wrote = false;
    const failures = new Map<Caller, unknown>();
    for (const caller of this.#batch) {
      try {
        const changed = await caller.change(value);
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
    for (const caller of this.#batch) {
      if (failures.has(caller)) caller.refused(failures.get(caller));
      else caller.applied(guarded);
    }
  }

  #sleep(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#options.environment.schedule(ms, resolve);
    });
  }
}

const versionOf = (known: Guarded | "absent"): bigint => (known === "absent" ? 0n : known.version);

/** A store that was set back and adopted comes to the same versions again, with other values. */
const isSame = (now: Guarded | undefined, base: Guarded | undefined): boolean =>
  now?.version === base?.version &&
  (now === undefined || base === undefined || Buffer.compare(now.value, base.value) === 0);

/** Somebody was quicker, and nothing was written: it can be tried again. */
const wasOvertaken = (error: unknown): boolean =>
  error instanceof ConflictError ||
  error instanceof StaleTokenError ||
  error instanceof LeaseLostError;
