/**
 * Enable-wins flag.
 *
 * Meaning: enabled if and only if some visible enable was seen by no other visible enable or disable.
 */
import { type DataType, markShape } from "./data-type.ts";
import { expiring, type ExpiringType, type ExpiryOptions } from "./expiring.ts";

/** A boolean that concurrent writers can always turn on. */
export interface FlagType extends DataType {
  readonly kind: "flag";
}

/** Declares a collection of flags. */
export function flag(): FlagType;
/** The same, with keys that expire. */
export function flag(options: ExpiryOptions): ExpiringType<FlagType>;
export function flag(options?: ExpiryOptions): FlagType | ExpiringType<FlagType> {
  const type: FlagType = { kind: "flag", tag: "flag/1", shape: markShape };
  return options === undefined ? type : expiring(type, options);
}
