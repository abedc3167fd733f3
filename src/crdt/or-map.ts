/**
 * Observed-remove map: entries that are records of CRDT fields.
 *
 * Meaning: an entry is present if and only if any of its fields holds anything. Deleting an entry is
 * an observed remove of everything under it: what was written concurrently to the delete survives.
 * Each field means what its own type means.
 *
 * A counter is not among the fields: removing one needs an observed reset, since its totals cannot
 * tell which increments the remove has seen.
 */
import { type DataType, type Shape } from "./data-type.ts";
import { expiring, type ExpiringType, type ExpiryOptions } from "./expiring.ts";
import { type FlagType } from "./flag.ts";
import { type LwwMapType } from "./lww-map.ts";
import { type LwwRegisterType } from "./lww-register.ts";
import { type MvRegisterType } from "./mv-register.ts";
import { type OrSetType } from "./or-set.ts";

/** What may stand in an entry. */
export type FieldType = OrSetType | LwwRegisterType | MvRegisterType | LwwMapType | FlagType;

/** The fields of an entry, by name. */
export type FieldTypes = Readonly<Record<string, FieldType>>;

/** A map from strings to records of CRDT fields. */
export interface OrMapType<F extends FieldTypes = FieldTypes> extends DataType {
  readonly kind: "or-map";
  readonly fields: F;
}

/** Declares a collection of observed-remove maps whose entries have these fields. */
export function orMap<const F extends FieldTypes>(fields: F): OrMapType<F>;
/** The same, with keys that expire, each with all its entries. */
export function orMap<const F extends FieldTypes>(
  fields: F,
  options: ExpiryOptions,
): ExpiringType<OrMapType<F>>;
export function orMap<const F extends FieldTypes>(
  fields: F,
  options?: ExpiryOptions,
): OrMapType<F> | ExpiringType<OrMapType<F>> {
  const sorted = Object.entries(fields).toSorted(([left], [right]) => (left < right ? -1 : 1));
  const shapes = new Map<string, Shape>(sorted.map(([name, type]) => [name, type.shape]));
  const type: OrMapType<F> = {
    kind: "or-map",
    tag: `or-map/1${JSON.stringify(sorted.map(([name, field]) => [name, field.tag]))}`,
    shape: { kind: "items", names: "string", item: { kind: "fields", fields: shapes } },
    fields,
  };
  return options === undefined ? type : expiring(type, options);
}
