/**
 * What two replicas say to each other on a link: protocol version 1.
 *
 *   hello    who I am, and a digest of what I hold         once, first, from each end
 *   summary  digests of the parts of my vector             only when the digests differ, many actors
 *   vector   the part of my vector that differs            only when the digests differ
 *   frame    a delta interval, see store/frame.ts
 *   ack      so many of your frames were taken in
 *   stored   what I had after so many frames is on my disk   only from who has one
 *   ended    actors that write no more                     when that is news
 *   service  bytes of something else that both ends have   see service.ts
 *   ping, pong   are you there?
 *   bye      the link ends, and why
 *
 * A link to one who only observes carries no frames, but questions about what is held and their answers:
 *
 *   ask      a question, see question.ts                   one at a time
 *   answer   what there is to say to it
 */
import type { ActorId } from "../crdt/dot.ts";
import type { Ending } from "../crdt/ending.ts";
import type { StagePoint } from "../store/stage.ts";
import type { Entry } from "./digest.ts";
import type { Question, Reply } from "./question.ts";

/** Versions of the protocol that this code speaks. A change of meaning makes a new one. */
export const protocolVersions = { min: 1, max: 1 } as const;

/** A collection as peers know it. */
export interface CollectionTag {
  readonly name: string;
  readonly tag: string;
}

/** Who speaks, and what it holds. */
export interface Hello {
  readonly kind: "hello";
  /** The protocol versions that the sender speaks. */
  readonly versions: { readonly min: number; readonly max: number };
  /** The newest frame format that the sender reads. */
  readonly frameVersion: number;
  readonly actor: ActorId;
  /** For people. */
  readonly name: string;
  /** Random, 16 bytes, of this link alone. */
  readonly nonce: Uint8Array;
  /** The sender's wall clock, in ms since the Unix epoch. */
  readonly wallMs: number;
  /** Whether the sender has a disk, and tells what is on it. */
  readonly isDurable: boolean;
  /** Which of its links this is to the sender; later ones have larger numbers. */
  readonly link: number;
  /** Collections that the sender knows. Not all, if there are very many. */
  readonly collections: readonly CollectionTag[];
  /** Entries in the sender's vector. */
  readonly actors: number;
  /** The digest of the sender's vector. */
  readonly digest: Uint8Array;
  /** Whether the sender is no replica, and only asks. */
  readonly isObserver?: boolean;
  /** Whether the sender takes no frames and no services from us: we may only read. */
  readonly takesNothing?: boolean;
  /** Services that the sender has; absent for none. */
  readonly services?: readonly string[];
  /** Questions that the sender answers, by their numbers up to this one; absent for those of the beginning. */
  readonly questions?: number;
}

/** What we tell a peer of ourselves. */
export interface Greeting {
  readonly hello: Hello;
  /** The vector that the hello has the digest of, in the order of the actors. */
  readonly entries: readonly Entry[];
}

/** Digests of the sender's vector by the leading bits of the actors: 2**bits of them. */
export interface Summary {
  readonly kind: "summary";
  readonly bits: number;
  readonly digests: readonly Uint8Array[];
}

/** Entries of the sender's vector, in the order of their actors. */
export interface Vector {
  readonly kind: "vector";
  /** Another message goes on with it. */
  readonly more: boolean;
  /** A series of the receiver's that the sender has the beginning of; in the first message. */
  readonly stage?: StagePoint;
  readonly entries: readonly Entry[];
}

/** A frame, to be read by the store. */
export interface Frame {
  readonly kind: "frame";
  readonly bytes: Uint8Array;
}

/** The receiver's oldest `frames` frames on the way were joined or staged. */
export interface Ack {
  readonly kind: "ack";
  readonly frames: number;
}

/**
 * What the sender held when it had taken in so many of the link's frames, and sent so many, is on its
 * disk.
 */
export interface Stored {
  readonly kind: "stored";
  readonly taken: number;
  readonly sent: number;
}

/** Actors that have ended; of others the vector entries tell. */
export interface Ended {
  readonly kind: "ended";
  readonly endings: readonly (readonly [actor: ActorId, ending: Ending])[];
}

/** Bytes of a service that both ends have; what they mean is its own. */
export interface ServiceMessage {
  readonly kind: "service";
  readonly service: string;
  readonly bytes: Uint8Array;
}

/** Asks an observed replica. */
export interface Ask {
  readonly kind: "ask";
  readonly question: Question;
}

/** Answers the one question that is open. */
export interface Answer {
  readonly kind: "answer";
  /** The digest of the vector that the sender held when all of it was said. */
  readonly digest: Uint8Array;
  readonly reply: Reply;
}

/** Asks for a pong. */
export interface Ping {
  readonly kind: "ping";
}

/** Answers a ping. */
export interface Pong {
  readonly kind: "pong";
}

/** The last message. */
export interface Bye {
  readonly kind: "bye";
  readonly code: EndCode;
  /** For people. */
  readonly reason: string;
}

export type Message =
  | Hello
  | Summary
  | Vector
  | Frame
  | Ack
  | Stored
  | Ended
  | ServiceMessage
  | Ask
  | Answer
  | Ping
  | Pong
  | Bye;

/** Why a link ends, with its number on the wire. */
export const endCodes = {
  /** The sender closes, or no longer wants this peer. */
  leaving: 0,
  /** The other end did what the protocol does not allow. */
  protocol: 1,
  /** The other end's bytes are not what they claim to be. */
  malformed: 2,
  /** One collection has two types. */
  schema: 3,
  /** The clocks are too far apart. */
  clock: 4,
  /** Both ends are one replica. */
  self: 5,
  /** The other end writes, or knows of writes, as the sender's actor: the sender takes another one. */
  clone: 6,
  /** There is another link between the two. */
  duplicate: 7,
  /** A bound is reached. */
  overloaded: 8,
  /** Frames are not acknowledged. */
  stalled: 9,
  /** Nothing was heard for too long. */
  silent: 10,
  /** The sender has a fault of its own. */
  internal: 11,
  /** The network ended the link, or never made it. Not sent. */
  network: 12,
  /** The token was refused, or does not allow what was sent. */
  unauthorized: 13,
} as const;

export type EndCode = keyof typeof endCodes;

/** Bytes of a nonce. */
export const nonceBytes = 16;
/** Bytes of a replica's name. */
export const nameBytesMax = 256;
/** Bytes of the name of a service, and how many a replica may have. */
export const serviceNameBytesMax = 64;
export const servicesMax = 16;
/** Bytes that a service may send at a time. */
export const serviceBytesMax: number = 16 * 1024 * 1024;
/** Entries of the longest vector that is compared. */
export const entriesMax: number = 2 ** 20;
/** Entries in one message. */
export const entriesPerMessageMax: number = 2 ** 14;
/** Vectors up to this many entries are sent whole when the digests differ. */
export const entriesWhole = 32;
