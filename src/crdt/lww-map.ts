/**
 * A map whose fields are last-writer-wins registers.
 *
 * Meaning: each field is an `lwwRegister` of its own; a field is present while its register is.
 */
import { type DataType, stampedShape } from "./data-type.ts";
import { expiring, type ExpiringType, type ExpiryOptions } from "./expiring.ts";

/** A map from strings to JSON values. */
export interface LwwMapType<V = unknown> extends DataType {
  readonly kind: "lww-map";
  /** Never set; carries the value type. */
  readonly value?: V;
}

/** Declares a collection of last-writer-wins maps. */
export function lwwMap<V = unknown>(): LwwMapType<V>;
/** The same, with keys that expire. */
export function lwwMap<V = unknown>(options: ExpiryOptions): ExpiringType<LwwMapType<V>>;
export function lwwMap<V>(options?: ExpiryOptions): LwwMapType<V> | ExpiringType<LwwMapType<V>> {
  const type: LwwMapType<V> = {
    kind: "lww-map",
    tag: "lww-map/1",
    shape: { kind: "items", names: "string", item: stampedShape },
  };
  return options === undefined ? type : expiring(type, options);
}
