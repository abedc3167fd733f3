/**
 * A map whose fields are last-writer-wins registers.
 *
 * Meaning: each field is an `lwwRegister` of its own; a field is present while its register is.
 */
import { type DataType, stampedShape } from "./data-type.ts";

/** A map from strings to JSON values. */
export interface LwwMapType<V = unknown> extends DataType {
  readonly kind: "lww-map";
  /** Never set; carries the value type. */
  readonly value?: V;
}

/** Declares a collection of last-writer-wins maps. */
export const lwwMap = <V = unknown>(): LwwMapType<V> => ({
  kind: "lww-map",
  tag: "lww-map/1",
  shape: { kind: "items", names: "string", item: stampedShape },
});
