/**
 * Several at once, but not any several: shared and exclusive locks, semaphores, levels of a hierarchy.
 *
 * A lease excludes all others, so each holder has one of its own, a *seat*, and what decides who may sit beside
 * whom is a list of seats in a guard, the *gate*. Whoever comes in
 *
 *   1. takes the lease of the gate, in line with others who come in: a waiter wakes only its successor;
 *   2. reads the list. For each seat that it cannot sit beside it takes the lease of that seat, which it gets when
 *      the one who sat there has left, or its lease has run out: then that seat is free, whatever any clock says;
 *   3. takes the lease of a free seat, and writes the list with it under the fence of the gate;
 *   4. leaves the gate.
 *
 * It is in from step 3 on. Before that it may die or be overtaken at any point: the fence of the gate lets it write
 * nothing then. So a list may name seats on which nobody sits, never lack one on which somebody does; and nobody who was
 * paused for long is beside somebody it cannot be beside, as far as a lease excludes at all. Who leaves gives its seat
 * back; its name stays in the list until somebody comes in who looks.
 *
 * The token of a holder is that of the gate when it came in: of two holders the later has the larger, whatever
 * their modes.
 *
 * @see Gray et al. 1976, "Granularity of Locks and Degrees of Consistency in a Shared Data Base"
 */
import { LockTimeoutError, OverloadedError } from "../../errors.ts";
import type { Lease } from "../locks.ts";
import { defaultWaitMs, type HeldLease } from "../named-locks.ts";
import { nameOf } from "./note.ts";
import type { Parts } from "./parts.ts";
import { readSeats, type Seat, writeSeats } from "./seat-list.ts";

/** Seats of one lock, with those that nobody has looked at since somebody left. */
export const seatsMax = 256;
/** Lists up to this are left alone. */
const longList = 8;
/** Of a longer one, the part that is looked at by each who comes in, another each time; two names at least. */
const glance = 1 / 8;

/** Who may sit beside whom. */
export interface Seating {
  /** What the one who comes in asks for. */
  readonly mode: string;
  /** Of these seats, those of which some have to be left before, and how many. */
  readonly inTheWay: (seats: readonly Seat[]) => Blocked;
}

/** Who is in the way. */
export interface Blocked {
  readonly seats: readonly Seat[];
  /** How many of them have to leave. */
  readonly leaving: number;
}

/** How to come in. */
export interface SeatOptions {
  readonly waitMs?: number;
  readonly ttlMs?: number;
  readonly signal?: AbortSignal;
  /** Shown to others, at most 256 characters. */
  readonly holder?: string;
}

/** A seat that is held. */
export interface HeldSeat {
  /** Larger than that of every holder that came in before. */
  readonly token: bigint;
  /** Aborts before anybody sits down who must not be beside this one. */
  readonly lost: AbortSignal;
  readonly release: () => Promise<void>;
}

/** Locks with seats, by name, of one backend. */
export class Seats {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Takes a seat.
   * @throws LockTimeoutError surely not in; LockUnavailableError, UnknownOutcomeError not in, but a seat may be taken until
   * its lease runs out; OverloadedError all seats are taken; ClosedError; the reason of `signal`.
   */
  async take(resource: string, seating: Seating, options: SeatOptions = {}): Promise<HeldSeat> {
    const endMs = this.#parts.environment.monotonic() + (options.waitMs ?? defaultWaitMs);
    const gate = await this.#parts.named.hold(gateOf(resource), options);
    try {
      return await this.#sit({ resource, seating, gate: gate.lease, endMs }, options);
    } finally {
      await gate.release();
    }
  }

  /**
   * Runs `run` with a seat of each, taken in this order. `run` is told of the last.
   * @throws as `take` does; LeaseLostError it ran, and somebody who must not be beside it may have run at the same time;
   * UsageError the caller holds one of them, or one that comes later; what `run` throws.
   */
  async with<T>(
    steps: readonly { readonly resource: string; readonly seating: Seating }[],
    run: (held: HeldSeat) => T | Promise<T>,
    options: SeatOptions = {},
  ): Promise<T> {
    const endMs = this.#parts.environment.monotonic() + (options.waitMs ?? defaultWaitMs);
    const resources = steps.map(({ resource }) => resource);
    return this.#parts.named.inOrder(resources, async () => {
      const held: HeldSeat[] = [];
      try {
        for (const { resource, seating } of steps) {
          const waitMs = Math.max(0, endMs - this.#parts.environment.monotonic());
          held.push(await this.take(resource, seating, { ...options, waitMs }));
        }
        const last = held.at(-1);
        if (last === undefined) throw new Error("assertion: no seat was asked for");
        const lost = AbortSignal.any(held.map((seat) => seat.lost));
        const result = await run({
          token: last.token,
          get lost() {
            // Each is looked at, so that the first line after a pause sees the truth.
            return held.find((seat) => seat.lost.aborted)?.lost ?? lost;
          },
          release: last.release,
        });
        for (const seat of held) seat.lost.throwIfAborted();
        return result;
      } finally {
        await Promise.all(held.map(({ release }) => release()));
      }
    });
  }

  /** Who sits there, as was written last: some may have left since. Linearizable, one round trip. */
  async list(resource: string): Promise<readonly Seat[]> {
    const guarded = await this.#parts.backend.read(gateOf(resource));
    return readSeats(guarded?.value);
  }

  async #sit(entry: Entry, options: SeatOptions): Promise<HeldSeat> {
    const { seating, gate } = entry;
    const seats = await this.#cleared(entry, options);
    const held = await this.#freeSeat(entry, seats, options);
    try {
      const seat: Seat = {
        ...{ number: held.number, mode: seating.mode, token: gate.token },
        ...{ holder: nameOf(options.holder), sinceMs: this.#parts.environment.now() },
      };
      await this.#parts.write(gate, writeSeats([...seats, seat]));
      held.lease.lost.throwIfAborted();
    } catch (error) {
      await held.release();
      throw error;
    }
    const { lease } = held;
    return {
      token: gate.token,
      get lost() {
        return lease.lost;
      },
      release: held.release,
    };
  }

  /** The list without those who were in the way and have left. */
  async #cleared(entry: Entry, options: SeatOptions): Promise<readonly Seat[]> {
    const { gate, seating } = entry;
    let seats = readSeats(gate.current?.value);
    if (seats.length > longList) {
      const some = await this.#left(entry, glanced(seats, gate.token), { ...options, waitMs: 0 });
      seats = without(seats, some);
    }
    for (;;) {
      const { seats: inTheWay, leaving } = seating.inTheWay(seats);
      if (leaving === 0) return seats;
      gate.lost.throwIfAborted();
      const left =
        leaving === inTheWay.length
          ? await this.#allLeft(entry, inTheWay, options)
          : await this.#oneLeft(entry, inTheWay, options);
      seats = without(seats, left);
    }
  }

  /** Waits until all of them have left: who came in last leaves, perhaps, last. */
  async #allLeft(
    entry: Entry,
    seats: readonly Seat[],
    options: SeatOptions,
  ): Promise<readonly Seat[]> {
    for (const seat of seats) await this.#vacated(entry, seat, this.#lasting(entry, options));
    return seats;
  }

  /** Waits until one of them has left, in the line of each. */
  async #oneLeft(
    entry: Entry,
    seats: readonly Seat[],
    options: SeatOptions,
  ): Promise<readonly Seat[]> {
    // One each: Node takes many listeners of one signal for a leak.
    const waiting = seats.map((seat) => ({ seat, ending: new AbortController() }));
    const stop = (): void => {
      for (const { ending } of waiting) ending.abort(options.signal?.reason);
    };
    if (options.signal?.aborted === true) stop();
    options.signal?.addEventListener("abort", stop, { once: true });
    const left: Seat[] = [];
    const waits = waiting.map(async ({ seat, ending: { signal } }) => {
      await this.#vacated(entry, seat, { ...this.#lasting(entry, options), signal });
      left.push(seat);
    });
    try {
      await Promise.any(waits);
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    } finally {
      options.signal?.removeEventListener("abort", stop);
      stop();
      // What is granted late is given back before anybody is let in.
      await Promise.allSettled(waits);
    }
    return left;
  }

  /** Of these, who has left already. */
  async #left(
    entry: Entry,
    seats: readonly Seat[],
    options: SeatOptions,
  ): Promise<readonly Seat[]> {
    const looks = seats.map(async (seat) => {
      await this.#vacated(entry, seat, options);
      return seat;
    });
    const ends = await Promise.allSettled(looks);
    return ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
  }

  /** Proves that nobody sits there. */
  async #vacated({ resource }: Entry, seat: Seat, options: SeatOptions): Promise<void> {
    const asked = { ...options, isProbe: true };
    const proof = await this.#parts.named.hold(seatOf(resource, seat.number), asked);
    await proof.release();
  }

  /** A seat that is in no list; one whose holder was never let in may be taken all the same. */
  async #freeSeat(
    entry: Entry,
    seats: readonly Seat[],
    options: SeatOptions,
  ): Promise<HeldLease & { readonly number: number }> {
    const taken = new Set(seats.map(({ number }) => number));
    for (let number = 0; number < seatsMax; number++) {
      if (taken.has(number)) continue;
      try {
        const held = await this.#parts.named.hold(seatOf(entry.resource, number), {
          isProbe: true,
          ...options,
          waitMs: 0,
        });
        return { ...held, number };
      } catch (error) {
        if (!(error instanceof LockTimeoutError)) throw error;
      }
    }
    throw new OverloadedError(`all ${seatsMax} seats of ${entry.resource} are taken`, {});
  }

  #lasting({ endMs }: Entry, options: SeatOptions): SeatOptions {
    return { ...options, waitMs: Math.max(0, endMs - this.#parts.environment.monotonic()) };
  }
}

/** One who comes in. */
interface Entry {
  readonly resource: string;
  readonly seating: Seating;
  readonly gate: Lease;
  /** On the monotonic clock. */
  readonly endMs: number;
}

const gateOf = (resource: string): string => `${resource}/gate`;
const seatOf = (resource: string, number: number): string => `${resource}/seat/${number}`;

/** Some of them, from a place that moves on with each who comes in. */
function glanced(seats: readonly Seat[], token: bigint): readonly Seat[] {
  const count = Math.max(2, Math.ceil(seats.length * glance));
  const from = Number((token * BigInt(count)) % BigInt(seats.length));
  return [...seats, ...seats].slice(from, from + count);
}

const without = (seats: readonly Seat[], left: readonly Seat[]): readonly Seat[] =>
  seats.filter((seat) => !left.includes(seat));
