/**
 * Multi-value register: keeps what was written concurrently and lets the reader decide.
 *
 * Meaning: the values are those of all visible sets that no other visible set or delete has seen,
 * latest stamp first.
 *
 * @see DeCandia et al. 2007, "Dynamo"; Shapiro et al. 2011, MV-Register
 */
import { type DataType, stampedShape } from "./data-type.ts";
import { expiring, type ExpiringType, type ExpiryOptions } from "./expiring.ts";

/** A register of all concurrently written JSON values. */
export interface MvRegisterType<V = unknown> extends DataType {
  readonly kind: "mv-register";
  /** Never set; carries the value type. */
  readonly value?: V;
}

/** Declares a collection of multi-value registers. */
export function mvRegister<V = unknown>(): MvRegisterType<V>;
/** The same, with keys that expire. */
export function mvRegister<V = unknown>(options: ExpiryOptions): ExpiringType<MvRegisterType<V>>;
export function mvRegister<V>(
  options?: ExpiryOptions,
): MvRegisterType<V> | ExpiringType<MvRegisterType<V>> {
  const type: MvRegisterType<V> = {
    kind: "mv-register",
    tag: "mv-register/1",
    shape: stampedShape,
  };
  return options === undefined ? type : expiring(type, options);
}
