/**
 * The one thing that is sent: a delta interval as bytes. Version 1.
 *
 *   frame    := flags series? names vector floor? body            a series unless it stands alone
 *   names    := count collection*  count actor*  count node*      what this link was not told yet
 *     collection := index name tag shape                          shape as JSON, see data-type.ts
 *     actor      := number 16 bytes 0                             the 0 is reserved: "ended at"
 *     node       := head parent? name
 *   vector   := count (actor sequence)*                           where the sender's vector moved
 *   floor    := count (actor sequence)*                           at the end of a complete state
 *   body     := slot*                                             ascending by node, to the end
 *     slot   := node-delta cells
 *     cells  := 0 cell*                                           same actors as the slot before
 *             | 1 kind length bytes                               reserved: expiry, once, fold
 *             | count+1 (actor cell)*                             actors ascending, as deltas
 *
 * All integers are varints unless said otherwise. Actors and nodes have the sender's numbers, so one
 * body serves every link whose peer is at the same point; only `names` and `vector` are the link's.
 * A cell's sequence is left out where it is that of the actor's cell before it in the frame; the
 * first stands for the sender's vector at that actor. So a live batch names no sequence at all.
 *
 * A node's `head` is twice the zigzag distance from the node named before, plus one if the parent is
 * the same. A string name shares leading ASCII with the name before: a byte 128 + shared, the length
 * of the rest, the rest. Other names are as in values.ts.
 */

/** The frame format. A change of format changes it, and the old one is still read. */
export const frameVersion = 1;

/** Frames belong to a series: the first, the last, or both for a plain one. */
export const flagFirst = 1;
export const flagLast = 2;
/** The series is a complete state: what is in none of its frames is gone at the sender. */
export const flagComplete = 4;
/** All that was named on this link before is void. */
export const flagRenumber = 8;
export const flagsKnown = 15;

/** A slot that is of a kind reserved for later versions. */
export const cellsReserved = 1;
/** Reserved kinds of slots. */
export const reservedKinds = { expiry: 1, once: 2, fold: 3 } as const;

// The head byte of a mark or a stamped cell. Bit 0: a sequence follows. Bits 1 and 2: the state.
export const cellSequence = 1;
export const stateBare = 0;
export const stateLive = 1;
/** Live, and the receiver knows it: it has the value, or has it removed. */
export const stateHeld = 2;
/** A stamped cell with the stamp of the one before. */
export const cellSameStamp = 8;

// The head byte of a sum. Bit 0: a sequence follows. Bit 1: negative. Bits 2 to 6: the low five bits
// of the amount. Bit 7: the rest of the amount follows as a varint, before the sequence.
export const sumNegative = 2;
export const sumLow = 32;
export const sumMore = 128;

/** The largest frame that is read, in bytes. */
export const frameBytesMax: number = 64 * 1024 * 1024;
/** Where frames are cut, if they can be. A batch is never cut. */
export interface FrameLimits {
  /** About how many touches go into one frame. */
  readonly touches: number;
  /** About how many bytes. */
  readonly bytes: number;
}

/** Small enough that a frame is a short step for both ends. */
export const defaultFrameLimits: FrameLimits = { touches: 16_384, bytes: 512 * 1024 };

/** The largest number of an actor that a peer may name. */
export const actorNumberMax: number = 2 ** 22;
/** The largest number of a node that a peer may name. */
export const nodeNumberMax: number = 2 ** 30;
/** Actors named in one frame. */
export const actorsPerFrameMax: number = 2 ** 18;
