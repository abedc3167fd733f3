/**
 * Who is a call? One without an idempotency key is itself only. One with a key is every call with that key,
 * on whatever replica and after whatever crash: what it did is remembered by the digest of its key in the
 * guard, and its operation id follows from the key, so that a target outside knows a repetition as well.
 *
 * A key belongs to the kind of call and to the values that it was used with.
 */
import { type Environment } from "../../environment.ts";
import { InvalidValueError } from "../../errors.ts";
import { keyHashBytes } from "./key-memory.ts";

/** SHA-256, handed in. */
export type Hash = (bytes: Uint8Array) => Uint8Array;

/** Of a key, in UTF-8 bytes. */
export const idempotencyKeyBytesMax = 1_024;
const operationIdBytes = 16;

/** One call, or all repetitions of it. */
export interface CallIdentity {
  /** Names it to the world outside. */
  readonly operationId: string;
  /** What it is remembered by; without a key it is not. */
  readonly hash: string | undefined;
}

/** What a call is known by. */
export interface CallOrigin {
  readonly environment: Environment;
  readonly hash: Hash;
  readonly kind: "update" | "section";
  /** The guards, in canonical order. */
  readonly resources: readonly string[];
  readonly idempotencyKey: string | undefined;
}

/** The identity of a call. @throws InvalidValueError for a key that is none. */
export function identify(origin: CallOrigin): CallIdentity {
  const { idempotencyKey, environment } = origin;
  if (idempotencyKey === undefined) {
    return new OneCall(environment);
  }
  checkIdempotencyKey(idempotencyKey);
  const parts = JSON.stringify([origin.kind, idempotencyKey, ...origin.resources]);
  const digest = origin.hash(new TextEncoder().encode(parts));
  return {
    hash: Buffer.from(digest.subarray(0, keyHashBytes)).toString("latin1"),
    // Other bytes than those in the guard, which whoever can read the store can see.
    operationId: hex(digest.subarray(keyHashBytes, keyHashBytes + operationIdBytes)),
  };
}

/** Its id is drawn when it is asked for: most changes do not, and randomness costs more than they do. */
class OneCall implements CallIdentity {
  readonly hash: undefined;
  readonly #environment: Environment;
  #operationId: string | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  get operationId(): string {
    this.#operationId ??= hex(this.#environment.randomBytes(operationIdBytes));
    return this.#operationId;
  }
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

function checkIdempotencyKey(key: unknown): void {
  const reason =
    typeof key !== "string"
      ? "is not a string"
      : key === ""
        ? "is empty"
        : !key.isWellFormed()
          ? "has a lone surrogate"
          : Buffer.byteLength(key) > idempotencyKeyBytesMax
            ? `is longer than ${idempotencyKeyBytesMax} bytes`
            : undefined;
  if (reason === undefined) return;
  throw new InvalidValueError(`the idempotency key ${reason}; nothing was changed`, {
    ...{ path: "idempotencyKey", reason },
  });
}
