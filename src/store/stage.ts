/**
 * The frames of a half-received series, kept until it is whole. Nothing of them is read, sent on or
 * overwritten before: pieces that are joined as they come end wrong, with all replicas agreeing.
 */
import type { VersionVector } from "../crdt/version-vector.ts";
import { malformed } from "./bytes.ts";
import type { FrameLimits } from "./frame.ts";
import type { NumbersTheyUse } from "./numbering.ts";
import type { Rows } from "./rows.ts";

/** Bytes of a half-received series that are kept. */
const stagedBytesMax = 2 ** 30;
/** Of so many full frames what was read is kept, 21 bytes a cell; of more the bytes, to be read again. */
const framesAsReadMax = 64;

/** Where a half-received series stands; what a peer tells to go on with it. */
export interface StagePoint {
  readonly series: number;
  readonly frames: number;
}

/** A frame whose content is not joined yet, as it was read or as bytes. */
export interface StagedFrame {
  readonly content: Rows | Uint8Array;
  readonly names: NumbersTheyUse;
  /** The sender's vector at this frame. */
  readonly theirs: VersionVector;
}

/** Frames of a series, kept until it is whole. Nothing of them is read, sent on or overwritten. */
export class Stage {
  readonly series: number;
  readonly isComplete: boolean;
  readonly frames: StagedFrame[] = [];
  bytes = 0;
  #rowsLeft: number;

  constructor(series: number, isComplete: boolean, { touches }: FrameLimits) {
    this.series = series;
    this.isComplete = isComplete;
    this.#rowsLeft = framesAsReadMax * touches;
  }

  /** Where its sender would go on. */
  get point(): StagePoint {
    return { series: this.series, frames: this.frames.length };
  }

  /** Keeps a copy of a frame: its own bytes may be a part of something larger. */
  add(
    body: Uint8Array,
    rows: Rows,
    { names, theirs }: Pick<StagedFrame, "names" | "theirs">,
  ): void {
    const bytes = this.bytes + body.length;
    if (bytes > stagedBytesMax) malformed(`a series of more than ${stagedBytesMax} bytes`);
    this.#rowsLeft -= rows.count;
    const content = this.#rowsLeft >= 0 ? rows.copy() : new Uint8Array(body);
    this.frames.push({ content, names, theirs });
    this.bytes = bytes;
  }
}
