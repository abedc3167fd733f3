/**
 * One of several candidates leads, in terms that only grow.
 *
 * A term is the token of a lease, and a candidate leads only once it has written its name under that very fence: one
 * whose lease ran out while it waited, or slept, is refused there and stands in line again. So two that lead at the
 * same time are never of one term, and whoever checks terms lets only the later one write.
 *
 * @see etcd-io/etcd#11456, mended in Mutex, and not in Election
 */
import { LeaseLostError, LockTimeoutError, StaleTokenError } from "../../errors.ts";
import type { HeldLease } from "../named-locks.ts";
import type { Parts } from "./parts.ts";
import { nameOf, readNote, tokenOf, writeNote } from "./note.ts";

/** How to stand for election. */
export interface CandidateOptions {
  /** As others see it, at most 256 characters. */
  readonly candidate?: string;
  /** How soon another leads if this process dies, in ms. Default 10,000. */
  readonly ttlMs?: number;
  /** Ends the candidacy, and the term. */
  readonly signal?: AbortSignal;
}

/** One term. */
export interface Term {
  /** Larger than that of every earlier term: for whoever is written to. */
  readonly term: bigint;
  /** Aborts before anybody else leads, and when the candidacy ends. */
  readonly signal: AbortSignal;
}

/** Who leads, as was written last: it may have ceased since. */
export interface Leader {
  readonly candidate: string;
  readonly term: bigint;
  /** By its own wall clock, in ms since the Unix epoch. */
  readonly sinceMs: number;
}

/** After so long in line the line is joined again, in ms. */
const lineMs = 60_000;

/** Elections by name, of one backend. */
export class Elections {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Stands for election, and runs `lead` for each term that is won, until `lead` returns or the candidacy is ended by
   * `signal`. A term that is lost aborts its own signal; once `lead` has ended, the candidate stands again.
   * @throws what `lead` throws; LockUnavailableError, ClosedError; the reason of `signal`.
   */
  async campaign<T>(
    resource: string,
    lead: (term: Term) => T | Promise<T>,
    options: CandidateOptions = {},
  ): Promise<T> {
    for (;;) {
      options.signal?.throwIfAborted();
      const held = await this.#won(resource, options);
      if (held === undefined) continue;
      try {
        const { lease } = held;
        const given = options.signal ? [options.signal] : [];
        const ended = AbortSignal.any([lease.lost, this.#parts.named.closing, ...given]);
        const result = await lead({
          term: lease.token,
          get signal() {
            // The lease is looked at, so that the first line after a pause sees the truth.
            return lease.lost.aborted ? lease.lost : ended;
          },
        });
        if (!lease.lost.aborted) return result;
      } catch (error) {
        // That its term is lost is no failure of a leader.
        if (!held.lease.lost.aborted || error !== held.lease.lost.reason) throw error;
      } finally {
        await held.release();
      }
    }
  }

  /** Who leads. One round trip; linearizable. */
  async leader(resource: string): Promise<Leader | undefined> {
    const note = readNote((await this.#parts.backend.read(resource))?.value);
    const { candidate, sinceMs } = note ?? {};
    const term = tokenOf(note?.["term"]);
    if (typeof candidate !== "string" || term === undefined) return undefined;
    return { candidate, term, sinceMs: Number(sinceMs) };
  }

  /** A lease under whose fence our name was written; undefined: try again. */
  async #won(resource: string, options: CandidateOptions): Promise<HeldLease | undefined> {
    let held: HeldLease;
    try {
      held = await this.#parts.named.hold(resource, { ...options, waitMs: lineMs, isProbe: true });
    } catch (error) {
      if (error instanceof LockTimeoutError) return undefined;
      throw error;
    }
    try {
      const note = {
        candidate: nameOf(options.candidate),
        term: `${held.lease.token}`,
        sinceMs: this.#parts.environment.now(),
      };
      await this.#parts.write(held.lease, writeNote(note));
      return held;
    } catch (error) {
      await held.release();
      if (error instanceof StaleTokenError || error instanceof LeaseLostError) return undefined;
      throw error;
    }
  }
}
