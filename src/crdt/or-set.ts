/**
 * Add-wins observed-remove set without tombstones.
 *
 * Meaning: an element is present if and only if some visible add of it was seen by no other visible
 * add or remove of it. A remove takes away the adds that it saw; an add concurrent to it survives.
 *
 * Is an element that only the other side holds new to us, or removed by us? Its dot tells: if our
 * vector covers the dot we have seen the add, so its absence here is a removal.
 *
 * @see Bieniusa et al. 2012, arXiv:1210.3368
 */
import { type DataType, markShape, type Name } from "./data-type.ts";
import { expiring, type ExpiringType, type ExpiryOptions } from "./expiring.ts";

/** A set of strings, numbers, booleans and null. */
export interface OrSetType<E extends Name = Name> extends DataType {
  readonly kind: "or-set";
  /** Never set; carries the element type. */
  readonly element?: E;
}

/** Declares a collection of sets. */
export function orSet<E extends Name = string>(): OrSetType<E>;
/** The same, with keys that expire. */
export function orSet<E extends Name = string>(options: ExpiryOptions): ExpiringType<OrSetType<E>>;
export function orSet<E extends Name>(
  options?: ExpiryOptions,
): OrSetType<E> | ExpiringType<OrSetType<E>> {
  const type: OrSetType<E> = {
    kind: "or-set",
    tag: "or-set/1",
    shape: { kind: "items", names: "element", item: markShape },
  };
  return options === undefined ? type : expiring(type, options);
}
