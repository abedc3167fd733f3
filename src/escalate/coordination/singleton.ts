/**
 * A job that runs at one place at a time, and not more often than it should, wherever it is asked for.
 *
 * When it last began stands in a guard, and is written there under the fence of the lease before the job runs. Whoever gets
 * the lease sooner than `every` after that leaves the job be. So a process that dies in the midst leaves its run
 * unfinished, and the next one comes when it is due, with a larger token; what there is left to do a job has to find
 * out by itself. When it is due each process reckons by its own wall clock: one that is wrong runs it too early or too
 * late, never twice at a time.
 */
import { fraction, type Timer } from "../../environment.ts";
import { ClosedError, LeaseLostError, LockTimeoutError, StaleTokenError } from "../../errors.ts";
import type { Lease } from "../locks.ts";
import { nameOf, readNote, tokenOf, writeNote } from "./note.ts";
import type { Parts } from "./parts.ts";

/** When to run. */
export interface SingletonOptions {
  /** From the beginning of one run to that of the next, in ms: at least that. */
  readonly every: number;
  /** As others see it, at most 256 characters. */
  readonly runner?: string;
  /** How soon another may run it if this process dies, in ms. Default 10,000. */
  readonly ttlMs?: number;
  /** Told of what the job threw, and of a store that cannot be reached. What it throws is its own. */
  readonly onError?: (error: unknown) => void;
}

/** One run. */
export interface Run {
  /** Larger than that of every earlier run: for whatever is written to. */
  readonly token: bigint;
  /** Aborts before anybody else runs it, and when the job is stopped here. */
  readonly signal: AbortSignal;
}

/** A job that is asked for here. Disposing stops it. */
export interface Singleton extends AsyncDisposable {
  /** Runs that began here. */
  readonly runs: number;
  /** No more runs here; resolves when one that is under way has ended. Never throws; harmless twice. */
  stop(): Promise<void>;
}

/** The last run, as was written when it began. */
export interface LastRun {
  readonly runner: string;
  readonly token: bigint;
  /** By its own wall clock, in ms since the Unix epoch. */
  readonly startedMs: number;
}

/** Processes look at slightly different times, as a part of `every`. */
const jitter = 0.05;
/** After a store that cannot be reached, in ms, at most. */
const againMsMax = 5_000;

/** Whoever asks for a job here. */
export class SingletonJob implements Singleton {
  readonly #parts: Parts;
  readonly #resource: string;
  readonly #run: (run: Run) => unknown;
  readonly #options: SingletonOptions;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #turn: Promise<void> = Promise.resolve();
  /** A run that began, by the clock of its runner, in the future, and when we saw that, by our monotonic clock. */
  #ahead: { readonly token: bigint; readonly seenMs: number } | undefined;
  #runs = 0;

  constructor(
    parts: Parts,
    resource: string,
    run: (run: Run) => unknown,
    options: SingletonOptions,
  ) {
    this.#parts = parts;
    this.#resource = resource;
    this.#run = run;
    this.#options = options;
    this.#later(0);
  }

  get runs(): number {
    return this.#runs;
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new ClosedError("the job was stopped"));
    this.#timer?.cancel();
    await this.#turn;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #later(ms: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#timer = this.#parts.environment.schedule(ms, () => {
      this.#turn = this.#look();
    });
  }

  async #look(): Promise<void> {
    const { every } = this.#options;
    let waitMs = every;
    try {
      waitMs = await this.#attempt();
    } catch (error) {
      if (error instanceof ClosedError) return;
      waitMs = Math.min(every, againMsMax);
      this.#told(error);
    }
    this.#later(waitMs * (1 + jitter * fraction(this.#parts.environment)));
  }

  /** Runs it if it is due and nobody else does; returns when to look again, in ms. */
  async #attempt(): Promise<number> {
    const { every, ttlMs } = this.#options;
    const { signal } = this.#stopping;
    let held;
    try {
      const options = {
        waitMs: 0,
        isProbe: true,
        signal,
        ...(ttlMs === undefined ? {} : { ttlMs }),
      };
      held = await this.#parts.named.hold(this.#resource, options);
    } catch (error) {
      if (error instanceof LockTimeoutError) return Math.min(every, againMsMax);
      throw error;
    }
    try {
      const dueMs = this.#dueIn(held.lease);
      return dueMs > 0 ? dueMs : await this.#runNow(held.lease);
    } finally {
      await held.release();
    }
  }

  #dueIn({ current }: Lease): number {
    const last = lastRunOf(current?.value);
    if (last === undefined) return 0;
    const { every } = this.#options;
    const { environment } = this.#parts;
    const agoMs = environment.now() - last.startedMs;
    if (agoMs >= 0) return every - agoMs;
    // A beginning that is yet to come is of a clock that is wrong: it counts from when it was seen.
    if (this.#ahead?.token !== last.token) {
      this.#ahead = { token: last.token, seenMs: environment.monotonic() };
    }
    return every - (environment.monotonic() - this.#ahead.seenMs);
  }

  async #runNow(lease: Lease): Promise<number> {
    const { environment } = this.#parts;
    const { every, runner } = this.#options;
    const startedMs = environment.now();
    try {
      const note = { runner: nameOf(runner), token: `${lease.token}`, startedMs };
      await this.#parts.write(lease, writeNote(note));
    } catch (error) {
      if (error instanceof StaleTokenError || error instanceof LeaseLostError) return every;
      throw error;
    }
    this.#runs++;
    try {
      const ended = AbortSignal.any([
        ...[lease.lost, this.#stopping.signal, this.#parts.named.closing],
      ]);
      await this.#run({
        token: lease.token,
        get signal() {
          // The lease is looked at, so that the first line after a pause sees the truth.
          return lease.lost.aborted ? lease.lost : ended;
        },
      });
    } catch (error) {
      this.#told(error);
    }
    return Math.max(0, Math.min(every, startedMs + every - environment.now()));
  }

  #told(error: unknown): void {
    try {
      this.#options.onError?.(error);
    } catch {
      // Its own.
    }
  }
}

/** What a guard says of the last run. */
export function lastRunOf(value: Uint8Array | undefined): LastRun | undefined {
  const note = readNote(value);
  const { runner, startedMs } = note ?? {};
  const token = tokenOf(note?.["token"]);
  if (typeof runner !== "string" || token === undefined) return undefined;
  if (typeof startedMs !== "number" || !Number.isFinite(startedMs)) return undefined;
  return { runner, token, startedMs };
}
