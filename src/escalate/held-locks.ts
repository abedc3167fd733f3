/**
 * Two that each hold what the other waits for wait for ever. Whoever takes several locks takes them in
 * one order that all agree on, so that cannot come about: by rank first, then by name. What a caller
 * holds already is known by following its asynchronous calls, so a violation is an error the first time
 * that it happens, not the first time that it hurts.
 *
 * @see Havender 1968, "Avoiding deadlock in multitasking systems"
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { UsageError } from "../errors.ts";

/** A lock's place in the order. */
export interface Rank {
  /** Lower ranks are taken first. */
  readonly rank: number;
  readonly resource: string;
}

/** Each resource once, in the order in which all take them. O(n log n). */
export const inOrder = (resources: Iterable<string>): string[] =>
  [...new Set(resources)].toSorted(byName);

const byName = (left: string, right: string): number => Number(left > right) - Number(left < right);

const isBefore = (left: Rank, right: Rank): boolean =>
  left.rank < right.rank || (left.rank === right.rank && left.resource < right.resource);

interface Held extends Rank {
  /** Locks of different backends are ordered among themselves only. */
  readonly by: HeldLocks;
  /** Where it was taken. Its stack is made into text only if somebody reads it. */
  readonly taken: Error;
}

/** One for all: Node carries each further one along with every promise of the process. */
const heldHere = new AsyncLocalStorage<readonly Held[]>();

/** What the present chain of calls holds of one backend. */
export class HeldLocks {
  /**
   * @throws UsageError if one who holds what it does must not wait for this: its stack is where this is wanted, that of its
   * cause where the other was taken.
   */
  check(wanted: Rank): void {
    const highest = heldHere.getStore()?.findLast(({ by }) => by === this);
    if (highest === undefined || isBefore(highest, wanted)) return;
    const message =
      `${wanted.resource} (rank ${wanted.rank}) is taken while ${highest.resource} ` +
      `(rank ${highest.rank}) is held: take locks in one order, or several at once; nothing was taken`;
    throw new UsageError(message, { cause: highest.taken });
  }

  /** Whether the present chain of calls holds it, or is about to. */
  has(resource: string): boolean {
    const held = heldHere.getStore() ?? [];
    return held.some((one) => one.by === this && one.resource === resource);
  }

  /** Runs `work` as one who holds these too. */
  holding<T>(taken: readonly Rank[], work: () => T): T {
    const place = new Error(`taken here: ${taken.map(({ resource }) => resource).join(", ")}`);
    const held = taken.map((rank): Held => ({ ...rank, by: this, taken: place }));
    return heldHere.run([...(heldHere.getStore() ?? []), ...held], work);
  }
}
