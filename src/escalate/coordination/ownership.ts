/**
 * Ownership of a resource, a shard for instance, for as long as its owner lives or wishes.
 *
 * The owner's name stands in the guard, under the fence of its lease. On leaving it may write there what its successor
 * should know, under the same fence: so that comes from the owner before, or from nobody.
 */
import type { HeldLease } from "../named-locks.ts";
import type { Parts } from "./parts.ts";
import { nameOf, readNote, tokenOf, writeNote } from "./note.ts";

/** How to become the owner. */
export interface OwnOptions {
  /** As others see it, at most 256 characters. */
  readonly owner?: string;
  /** How long to stand in line, in ms. Default 5,000. */
  readonly waitMs?: number;
  /** How soon another may own it if this process dies, in ms. Default 10,000. */
  readonly ttlMs?: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

/** What is owned. Disposing releases it. */
export interface Ownership extends AsyncDisposable {
  /** Larger than that of every earlier owner: for whatever is written to. */
  readonly token: bigint;
  /** Aborts before anybody else owns it, also when the locks are closed. */
  readonly lost: AbortSignal;
  /** What the owner before handed over; undefined if it died, or had nothing to say. JSON, frozen by nobody. */
  readonly handedOver: unknown;
  /**
   * Leaves it to the next in line, with what that one should know: JSON, at most 64 KiB.
   * @throws InvalidValueError, and it is owned still; StaleTokenError, LeaseLostError another owns it, and was told
   * nothing; LockUnavailableError, UnknownOutcomeError it may be owned until its lease runs out.
   */
  handOver(state?: unknown): Promise<void>;
  /** Leaves it. Never throws; harmless twice. */
  release(): Promise<void>;
}

/** Who owns something, as was written last: it may have ceased since. */
export interface Owner {
  readonly owner: string;
  readonly token: bigint;
  /** By its own wall clock, in ms since the Unix epoch. */
  readonly sinceMs: number;
}

/** Ownerships by name, of one backend. */
export class Ownerships {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** @throws LockTimeoutError another owns it; LockUnavailableError, UnknownOutcomeError, ClosedError; the reason of `signal`. */
  async own(resource: string, options: OwnOptions = {}): Promise<Ownership> {
    const held = await this.#parts.named.hold(resource, { ...options, isLasting: true });
    try {
      const { lease } = held;
      const before = readNote(lease.current?.value)?.["handedOver"];
      const note = {
        owner: nameOf(options.owner),
        token: `${lease.token}`,
        sinceMs: this.#parts.environment.now(),
      };
      await this.#parts.write(lease, writeNote(note));
      return this.#ownership(held, before);
    } catch (error) {
      await held.release();
      throw error;
    }
  }

  /** Who owns it. One round trip; linearizable. */
  async owner(resource: string): Promise<Owner | undefined> {
    const note = readNote((await this.#parts.backend.read(resource))?.value);
    const { owner, sinceMs } = note ?? {};
    const token = tokenOf(note?.["token"]);
    if (typeof owner !== "string" || token === undefined) return undefined;
    return { owner, token, sinceMs: Number(sinceMs) };
  }

  #ownership({ lease, release }: HeldLease, handedOver: unknown): Ownership {
    const ended = AbortSignal.any([lease.lost, this.#parts.named.closing]);
    return {
      token: lease.token,
      get lost() {
        // The lease is looked at, so that the first line after a pause sees the truth.
        return lease.lost.aborted ? lease.lost : ended;
      },
      handedOver,
      handOver: async (state) => {
        const note = writeNote(state === undefined ? {} : { handedOver: state });
        try {
          await this.#parts.write(lease, note);
        } finally {
          await release();
        }
      },
      release,
      [Symbol.asyncDispose]: release,
    };
  }
}
