/**
 * Who wrote, and which of its batches: the names of events.
 *
 * An actor is one writer with one uninterrupted history. It is minted anew each time a replica
 * opens, so that no dot can ever have two meanings: not after a crash, not from a restored backup,
 * not in a copied directory.
 */

/** 128 random bits as 32 lower-case hex digits. */
export type ActorId = string & { readonly __brand: "ActorId" };

/** Bytes of an actor on the wire. */
export const actorBytes: number = 16;

/**
 * The largest sequence an actor may reach; past it a replica goes on as a new actor. 31 bits, so
 * that sequences stay small integers everywhere.
 */
export const sequenceMax: number = 2 ** 31 - 2;

/** One batch of one actor. */
export interface Dot {
  readonly actor: ActorId;
  readonly sequence: number;
}

/**
 * Names an actor after `bytes`, 16 of them, random.
 * @throws RangeError when there are not exactly 16.
 */
export function actorIdFromBytes(bytes: Uint8Array): ActorId {
  if (bytes.length !== actorBytes) throw new RangeError(`an actor is ${actorBytes} bytes`);
  let id = "";
  for (const byte of bytes) id += byte.toString(16).padStart(2, "0");
  return id as ActorId;
}

/** The 16 bytes of an actor's name. */
export function actorIdToBytes(actor: ActorId): Uint8Array {
  const bytes = new Uint8Array(actorBytes);
  for (let i = 0; i < actorBytes; i++)
    bytes[i] = Number.parseInt(actor.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** Whether `text` names an actor; for input that is not trusted. */
export const isActorId = (text: string): text is ActorId => /^[0-9a-f]{32}$/.test(text);

/** Whether `sequence` can be that of a batch; for input that is not trusted. */
export const isSequence = (sequence: number): boolean =>
  Number.isSafeInteger(sequence) && sequence >= 1 && sequence <= sequenceMax;
