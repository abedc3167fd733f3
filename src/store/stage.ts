/**
 * The frames of a half-received series, kept until it is whole. Nothing of them is read, sent on or
 * overwritten before: pieces that are joined as they come end wrong, with all replicas agreeing.
 */
import type { VersionVector } from "../crdt/version-vector.ts";
import { malformed } from "./bytes.ts";
import type { NumbersTheyUse } from "./numbering.ts";

/** Bytes of a half-received series that are kept. */
const stagedBytesMax = 2 ** 30;

/** Where a half-received series stands; what a peer tells to go on with it. */
export interface StagePoint {
  readonly series: number;
  readonly frames: number;
}

interface StagedFrame {
  readonly body: Uint8Array;
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

  constructor(series: number, isComplete: boolean) {
    this.series = series;
    this.isComplete = isComplete;
  }

  /** Keeps a copy: the frame's own bytes may be a part of something larger. */
  add(frame: StagedFrame): void {
    const bytes = this.bytes + frame.body.length;
    if (bytes > stagedBytesMax) malformed(`a series of more than ${stagedBytesMax} bytes`);
    this.frames.push({ ...frame, body: new Uint8Array(frame.body) });
    this.bytes = bytes;
  }
}
