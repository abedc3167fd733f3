/**
 * Enable-wins flag.
 *
 * Meaning: enabled if and only if some visible enable was seen by no other visible enable or disable.
 */
import { type DataType, markShape } from "./data-type.ts";

/** A boolean that concurrent writers can always turn on. */
export interface FlagType extends DataType {
  readonly kind: "flag";
}

/** Declares a collection of flags. */
export const flag = (): FlagType => ({ kind: "flag", tag: "flag/1", shape: markShape });
