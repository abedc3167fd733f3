/**
 * Names that have one owner each, cluster-wide.
 *
 * Meaning: as of a fenced register whose value is the owner. A claim is a write that finds nobody there.
 */
import { type DataType, stampedShape } from "./data-type.ts";
import type { GuardedTypeOptions } from "./fenced-register.ts";

/** A collection of claimed names. */
export interface UniqueClaimsType extends DataType {
  readonly kind: "unique-claims";
  readonly weakFence: boolean;
}

/** Declares a collection of names with one owner each. */
export const uniqueClaims = ({ weakFence = false }: GuardedTypeOptions = {}): UniqueClaimsType => ({
  kind: "unique-claims",
  tag: "unique-claims/1",
  shape: stampedShape,
  weakFence,
});
