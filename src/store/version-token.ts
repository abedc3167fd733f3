/**
 * A version as text: what somebody held at some moment, to be waited for elsewhere. Opaque to users:
 * a format byte, then actors and sequences, as URL-safe base64.
 */
import {
  actorBytes,
  type ActorId,
  actorIdFromBytes,
  actorIdToBytes,
  type Dot,
  sequenceMax,
} from "../crdt/dot.ts";
import { InvalidValueError } from "../errors.ts";
import { ByteReader, ByteWriter, MalformedError } from "./bytes.ts";
import type { Keyspace } from "./keyspace.ts";

const format = 1;
/** Actors in a token; more than any replica will have met. */
const actorsMax = 2 ** 20;

/** A vector by the names of actors. */
export type NamedVector = ReadonlyMap<ActorId, number>;

/** The token of what the keyspace holds now. O(actors). */
export const versionToken = (keyspace: Keyspace): string =>
  tokenOf(keyspace, [...keyspace.held.entries()]);

/** The token of our own last batch, and so of all that came before it: nobody holds it without its causes. O(1). */
export function ownToken(keyspace: Keyspace): string {
  const { me, held } = keyspace;
  const sequence = held.at(me);
  return tokenOf(keyspace, sequence > 0 ? [[me, sequence]] : []);
}

function tokenOf(
  keyspace: Keyspace,
  entries: readonly (readonly [actor: number, sequence: number])[],
): string {
  const out = new ByteWriter();
  out.byte(format);
  out.varint(entries.length);
  for (const [actor, sequence] of entries) {
    out.raw(actorIdToBytes(keyspace.actors.name(actor)));
    out.varint(sequence);
  }
  return Buffer.from(out.view()).toString("base64url");
}

/**
 * What a token stands for.
 * @throws InvalidValueError for anything that `versionToken` did not make.
 */
export function parseVersionToken(token: unknown): NamedVector {
  try {
    if (typeof token !== "string") throw new MalformedError("not a string");
    const from = new ByteReader(Buffer.from(token, "base64url"));
    if (from.byte() !== format) throw new MalformedError("of another format");
    const vector = new Map<ActorId, number>();
    for (let left = from.bounded(actorsMax, "the number of actors"); left > 0; left--) {
      const actor = actorIdFromBytes(from.raw(actorBytes));
      vector.set(actor, from.bounded(sequenceMax, "a sequence"));
    }
    from.end();
    return vector;
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    const reason = `is no version token: ${cause.message}`;
    throw new InvalidValueError(`the version ${reason}`, { path: "version", reason, cause });
  }
}

/** Whether `held` by numbers covers a vector by names. */
export function coversNamed(
  at: (actor: number) => number,
  keyspace: Keyspace,
  vector: NamedVector,
): boolean {
  for (const [name, sequence] of vector) {
    const actor = keyspace.actors.find(name);
    if (actor === undefined || at(actor) < sequence) return false;
  }
  return true;
}

/**
 * A part of `vector` that will not come: its writer has ended, we lack it, and `mayBring` knows nobody
 * who could have it.
 */
export function lostDot(
  keyspace: Keyspace,
  vector: NamedVector,
  mayBring: (actor: number | undefined, sequence: number) => boolean,
): Dot | undefined {
  const { actors, held, endings } = keyspace;
  for (const [actor, sequence] of vector) {
    const ending = endings.of(actor);
    if (ending === undefined) continue;
    const number = actors.find(actor);
    if (number !== undefined && held.at(number) >= sequence) continue;
    const isNone = ending.isFinal && sequence > ending.at;
    if (isNone || !mayBring(number, sequence)) return { actor, sequence };
  }
  return undefined;
}
