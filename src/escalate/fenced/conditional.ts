/** Replacing a fenced value by version: for callers who read it, thought, and write what they thought of. */
import { ConflictError } from "../../errors.ts";
import type { Guarded } from "../locks.ts";
import { decodeEnvelope } from "./envelope.ts";
import type { FencedTarget } from "./fenced-target.ts";
import type { Expected, FencedVersion, Update } from "./operations.ts";

/**
 * An update to `next` if what is there is what was expected.
 * Its run throws ConflictError if it is not; nothing is written then.
 */
export function replacing<V>(
  { resource, what }: FencedTarget<V>,
  expected: Expected,
  next: V | undefined,
): Update<V> {
  return (current, { version }) => {
    const isThere =
      typeof expected === "string"
        ? (current === undefined) === (expected === "absent")
        : version?.version === expected.version && version.lineage === expected.lineage;
    if (isThere) return next;
    throw new ConflictError(`${what} is not what was expected; nothing was written`, {
      ...{ resource, held: false },
    });
  };
}

/** Of what was never written, or never seen. */
export const nothingKnown: FencedVersion = { lineage: 1, version: 0 };

/** The version of what stands in a guard. */
export const orderOf = (guarded: Guarded | undefined, resource: string): FencedVersion => ({
  lineage: decodeEnvelope(guarded?.value, resource).lineage,
  version: Number(guarded?.version ?? 0n),
});
