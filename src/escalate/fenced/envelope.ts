/**
 * What stands in the guard of a fenced value: the value or that it was deleted, the lineage that its versions
 * count in, and the idempotency keys that it remembers.
 *
 *   envelope := 1 lineage(varint) present(0 | 1) value? keys
 *   keys     := count(varint) (hash(16 bytes) at-ms(varint) has-result(0 | 1) result?)*
 *
 * The store is not trusted to give back what was written: whatever is read is checked.
 */
import { CorruptStorageError } from "../../errors.ts";
import { ByteReader, ByteWriter, malformed, MalformedError } from "../../store/bytes.ts";
import { type Json, readValue, writeValue } from "../../store/values.ts";
import { KeyMemory } from "./key-memory.ts";

/** The content of a guard. */
export interface Envelope {
  /** At least 1; grows when a store that was wiped or set back is adopted. */
  readonly lineage: number;
  /** Frozen; `undefined` when it was deleted. */
  readonly value: Json | undefined;
  readonly memory: KeyMemory;
}

/** What a guard that was never written stands for. */
export const untouchedEnvelope: Envelope = {
  lineage: 1,
  value: undefined,
  memory: KeyMemory.empty,
};

const format = 1;

/** Bytes that were made or read here: who combines many changes reads what the last one made. */
const known = new WeakMap<Uint8Array, Envelope>();

/** One for all: it is used from beginning to end without a pause. */
const into = new ByteWriter();

/** The bytes for a guard. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  into.reset();
  into.byte(format);
  into.varint(envelope.lineage);
  into.byte(envelope.value === undefined ? 0 : 1);
  if (envelope.value !== undefined) writeValue(envelope.value, into);
  envelope.memory.write(into);
  const bytes = into.take();
  known.set(bytes, envelope);
  return bytes;
}

/** These bytes are a copy of those. */
export function sameEnvelope(bytes: Uint8Array, copy: Uint8Array): void {
  const envelope = known.get(bytes);
  if (envelope) known.set(copy, envelope);
}

/**
 * The content of a guard; without bytes, of one that was never written.
 * @throws CorruptStorageError for bytes that `encodeEnvelope` would not have made.
 */
export function decodeEnvelope(bytes: Uint8Array | undefined, resource: string): Envelope {
  if (bytes === undefined) return untouchedEnvelope;
  const seen = known.get(bytes);
  if (seen) return seen;
  try {
    const envelope = read(new ByteReader(bytes));
    known.set(bytes, envelope);
    return envelope;
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    throw new CorruptStorageError(
      `the guard of ${resource} holds what Trellis did not write (${error.message}); nothing was changed`,
      { path: resource, cause: error },
    );
  }
}

function read(from: ByteReader): Envelope {
  const version = from.byte();
  if (version !== format) malformed(`an envelope of format ${version}`);
  const lineage = from.varint();
  if (lineage < 1) malformed("an envelope of no lineage");
  const isPresent = from.bounded(1, "whether there is a value");
  const value = isPresent === 1 ? readValue(from) : undefined;
  const memory = KeyMemory.read(from);
  from.end();
  return { lineage, value, memory };
}
