/**
 * What was asked of replicas that are killed, and what they said of it: kept outside of them, and all
 * that they are held to.
 */
import type { Range, View } from "./kill-process.ts";

interface Booking {
  readonly replica: string;
  /** Whether the replica said that it is durable; it may be there even if it never did. */
  isAcknowledged: boolean;
}

/** Operations by their numbers, from 0 on. */
export class Ledger {
  readonly #bookings: Booking[] = [];
  #acknowledged = 0;

  /** Operations that were asked of anybody. */
  get operations(): number {
    return this.#bookings.length;
  }

  /** Operations that were said to be durable. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Books so many operations as perhaps done, before the replica is asked; returns their numbers. */
  ask(replica: string, count: number): number[] {
    return Array.from(
      { length: count },
      () => this.#bookings.push({ replica, isAcknowledged: false }) - 1,
    );
  }

  /** The replica said that these are durable. */
  acknowledge(operations: readonly number[]): void {
    for (const operation of operations) {
      const booking = this.#bookings[operation];
      if (booking === undefined || booking.isAcknowledged) continue;
      booking.isAcknowledged = true;
      this.#acknowledged++;
    }
  }

  /** What is wrong with what a replica found in its directory: it must hold what it acknowledged itself. */
  checkReopened(replica: string, view: View): string[] {
    return this.#check(replica, view, (booking) => booking.replica === replica);
  }

  /** What is wrong at the end, when every replica must hold whatever any of them acknowledged. */
  checkConverged(views: ReadonlyMap<string, View>): string[] {
    const faults = [...views].flatMap(([name, view]) => this.#check(name, view, () => true));
    const contents = new Set([...views.values()].map(({ held }) => JSON.stringify(held)));
    return contents.size > 1 ? [...faults, "the replicas differ"] : faults;
  }

  /** Operations that were never acknowledged, and are there. */
  survived({ held }: View): number {
    return held.reduce((sum, [first, end]) => sum + end - first, 0) - this.#acknowledged;
  }

  #check(replica: string, view: View, isOwed: (booking: Booking) => boolean): string[] {
    const isHeld = among(view.held, this.#bookings.length);
    const missing = this.#bookings.flatMap((booking, operation) =>
      booking.isAcknowledged && isOwed(booking) && !isHeld(operation)
        ? [`${replica} lacks operation ${operation}, acknowledged by ${booking.replica}`]
        : [],
    );
    return [...view.faults.map((fault) => `${replica}: ${fault}`), ...missing];
  }
}

function among(held: readonly Range[], operations: number): (operation: number) => boolean {
  const flags = new Uint8Array(operations);
  for (const [first, end] of held) flags.fill(1, first, end);
  return (operation) => flags[operation] === 1;
}
