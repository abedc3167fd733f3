/**
 * Last-writer-wins register, with an observed delete.
 *
 * Meaning: among the visible sets that no other visible set or delete has seen, the value is that of
 * the latest stamp, ties by the larger actor; absent if there is none. A stamp too far ahead of the
 * reader's clock is *held* and loses to every stamp that is not, until some write has seen it.
 *
 * So a write always beats what it saw, whatever the clocks say; stamps only decide between
 * concurrent writes. A delete leaves no tombstone, and a set concurrent to it survives.
 */
import { type DataType, stampedShape } from "./data-type.ts";
import { expiring, type ExpiringType, type ExpiryOptions } from "./expiring.ts";

/** A register of one JSON value. */
export interface LwwRegisterType<V = unknown> extends DataType {
  readonly kind: "lww-register";
  /** Never set; carries the value type. */
  readonly value?: V;
}

/** Declares a collection of last-writer-wins registers. */
export function lwwRegister<V = unknown>(): LwwRegisterType<V>;
/** The same, with keys that expire. */
export function lwwRegister<V = unknown>(options: ExpiryOptions): ExpiringType<LwwRegisterType<V>>;
export function lwwRegister<V>(
  options?: ExpiryOptions,
): LwwRegisterType<V> | ExpiringType<LwwRegisterType<V>> {
  const type: LwwRegisterType<V> = {
    kind: "lww-register",
    tag: "lww-register/1",
    shape: stampedShape,
  };
  return options === undefined ? type : expiring(type, options);
}

/** What decides between concurrent writes. */
export interface Write<A> {
  readonly stamp: number;
  /** Whether the stamp is further ahead of the reader's clock than the bound. */
  readonly held: boolean;
  /** Compared with `<` where stamps are equal. */
  readonly actor: A;
}

/** Whether `left` wins over `right`, of two writes that have not seen each other. */
export function wins<A>(left: Write<A>, right: Write<A>): boolean {
  if (left.held !== right.held) return right.held;
  if (left.stamp !== right.stamp) return left.stamp > right.stamp;
  return left.actor > right.actor;
}
