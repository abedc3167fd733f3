/** Writes what is guarded, through its guard. */
import type { AnyCollection } from "../../any-collection.ts";
import { TrellisError } from "../../errors.ts";
import type { ContentLine } from "./format.ts";

/** The guard has a value already. Nothing was written. */
export class GuardTakenError extends TrellisError {
  readonly code = "TRELLIS_GUARD_TAKEN";
}

/** How to write it. */
export interface GuardedWriting {
  /** Whether what is there is overwritten. */
  readonly merge: boolean;
  readonly waitMs: number;
}

/**
 * Writes one key.
 * @throws GuardTakenError, AlreadyClaimedError, InsufficientError, RightsUnavailableError, or what the lock
 * store answers.
 */
export async function applyGuarded(
  { kind, type, collection }: AnyCollection,
  { key, content }: ContentLine,
  { merge, waitMs }: GuardedWriting,
): Promise<void> {
  if (kind === "fenced-register" && content.kind === kind) {
    const change = (current: unknown): unknown => {
      if (current === undefined || merge) return content.copy;
      throw new GuardTakenError("its guard has a value already; --merge overwrites it");
    };
    await collection.update(key, change, { waitMs });
  } else if (kind === "unique-claims" && content.kind === kind) {
    await collection.claim(key, content.owner, { waitMs });
  } else if (kind === "bounded-counter" && content.kind === kind) {
    const by = content.value - type.initial;
    if (by > 0) await collection.increment(key, by, { waitMs });
    else if (by < 0) await collection.decrement(key, -by, { waitMs });
  } else throw new Error(`assertion: ${content.kind} in a collection of ${kind}`);
}
