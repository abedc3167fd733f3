/**
 * Catching up a peer that lacks more than one frame carries.
 *
 * A series is frames that the receiver joins as one. Either the logs still know what the peer lacks:
 * then they are sent oldest first per actor, whole batches. Or they do not (it is below the floor, or
 * has nothing at all): then it gets a complete state. For that the nodes are gone through once in the
 * order of their numbers, each frame at its own moment; then an ordinary interval from the *first*
 * frame's vector brings what changed meanwhile. A node that is in no frame of such a series was not
 * here at that first vector, so only what that vector covers counts as removed. (Were it a later one,
 * what came and went between two frames would be swallowed, and spread as deletions.)
 *
 * The state of a series is a few numbers and a vector, so the last few are kept: a peer whose link
 * broke goes on where its stage ends. `test/models/interval.mjs` has all this with an oracle.
 */
import { VersionVector } from "../crdt/version-vector.ts";
import { flagComplete, flagFirst, flagLast, type FrameLimits } from "./frame.ts";
import type { Body, FrameWriter } from "./frame-writer.ts";
import { type Selection, select } from "./interval.ts";
import type { Keyspace } from "./keyspace.ts";

/** Where a series is after some of its frames. */
export interface Progress {
  /** Frames sent. */
  readonly frames: number;
  /** The next node of a complete state; undefined once all were gone through, or for an interval. */
  readonly nextNode: number | undefined;
  /** What the peer has of the interval part; the first frame's vector, before that part. */
  readonly have: VersionVector;
}

/** One frame of a series, before it gets its names. */
export interface SeriesFrame {
  readonly flags: number;
  readonly body: Body;
}

/** What all series of one keyspace share. */
export interface SeriesParts {
  readonly keyspace: Keyspace;
  readonly writer: FrameWriter;
  readonly selection: Selection;
  readonly limits: FrameLimits;
}

const none = new VersionVector();
/** Points that a series can be resumed at: more than the frames that may be on the way. */
const progressKept = 128;

/** A catch-up under way. */
export class Series {
  readonly number: number;
  readonly isComplete: boolean;
  readonly #keyspace: Keyspace;
  readonly #writer: FrameWriter;
  readonly #selection: Selection;
  readonly #limits: FrameLimits;
  #progress: Progress;
  readonly #past: Progress[] = [];

  constructor(number: number, from: VersionVector | undefined, parts: SeriesParts) {
    this.number = number;
    this.isComplete = from === undefined;
    this.#keyspace = parts.keyspace;
    this.#writer = parts.writer;
    this.#selection = parts.selection;
    this.#limits = parts.limits;
    this.#progress = {
      frames: 0,
      nextNode: from === undefined ? 0 : undefined,
      have: from ?? parts.keyspace.held.clone(),
    };
    this.#past.push(this.#progress);
  }

  /**
   * Goes back to where `frames` frames were sent.
   * @returns false if that is not known any more, or what is needed next is forgotten.
   */
  resume(frames: number): boolean {
    const at = this.#past.findIndex((past) => past.frames === frames);
    const progress = this.#past[at];
    if (frames === 0 || progress === undefined || !this.#isCovered(progress)) return false;
    this.#progress = progress;
    this.#past.length = at + 1;
    return true;
  }

  /** The next frame, or undefined if the floor has passed the series: it starts anew. */
  next(): SeriesFrame | undefined {
    if (!this.#isCovered(this.#progress)) return undefined;
    const first = this.#progress.frames === 0 ? flagFirst : 0;
    const kind = this.isComplete ? flagComplete : 0;
    const { body, after, last } =
      this.#progress.nextNode === undefined
        ? this.#interval(this.#progress)
        : this.#nodes(this.#progress, this.#progress.nextNode);
    this.#progress = after;
    this.#past.push(after);
    if (this.#past.length > progressKept) this.#past.shift();
    return { flags: first | kind | (last ? flagLast : 0), body };
  }

  /** A complete state rests on the first vector, an interval on what is sent. */
  #isCovered(progress: Progress): boolean {
    return progress.frames === 0 || progress.have.covers(this.#keyspace.retention.floor);
  }

  #nodes(progress: Progress, start: number): { body: Body; after: Progress; last: boolean } {
    const { nodes } = this.#keyspace;
    this.#selection.clear();
    for (let node = start; node < nodes.limit; node++) {
      if (nodes.isUsed(node) && nodes.head(node) !== 0) this.#selection.add(node);
      if (this.#selection.count > this.#limits.touches) break;
    }
    const chosen = this.#selection.nodes;
    const body = this.#writer.body(chosen, none, this.#limits.bytes);
    const reached = body.slots === 0 ? nodes.limit : (chosen[body.slots - 1] as number) + 1;
    const whole = body.slots === chosen.length && chosen.length <= this.#limits.touches;
    // All in one frame is all at one moment: nothing can have changed since.
    const last = whole && progress.frames === 0;
    const after = {
      frames: progress.frames + 1,
      nextNode: whole ? undefined : reached,
      have: progress.have,
    };
    return { body, after, last };
  }

  #interval(progress: Progress): { body: Body; after: Progress; last: boolean } {
    const { held } = this.#keyspace;
    const actors = [...held.entries()]
      .filter(([actor, sequence]) => sequence > progress.have.at(actor))
      .map(([actor]) => actor);
    const from = progress.have;
    let touchesMax = this.#limits.touches;
    let selected = select(this.#keyspace, actors, from, touchesMax, this.#selection);
    let body = this.#writer.body(this.#selection.nodes, from, this.#limits.bytes);
    // Large values: fewer touches, down to one batch, which is never cut.
    while (body.slots < this.#selection.nodes.length) {
      touchesMax = Math.floor(touchesMax / 4);
      const bytesMax = touchesMax > 0 ? this.#limits.bytes : Number.POSITIVE_INFINITY;
      selected = select(this.#keyspace, actors, from, Math.max(touchesMax, 1), this.#selection);
      body = this.#writer.body(this.#selection.nodes, from, bytesMax);
    }
    const have = from.clone();
    actors.forEach((actor, i) => have.raise(actor, selected.have[i] ?? 0));
    const after = { frames: progress.frames + 1, nextNode: undefined, have };
    return { body, after, last: selected.whole };
  }
}
