/**
 * What is on a disk, said and heard on one link: an acknowledgement says that frames were taken in, and
 * `stored`, later, that what came by so many frames, and what went by so many, survives a crash.
 * Neither end keeps a queue for that, only a mark: when one is passed, the next is set where things
 * stand then.
 */
import { VersionVector } from "../crdt/version-vector.ts";
import type { Environment } from "../environment.ts";

/** Frames of both directions, as the one whose disk it is counts them. */
export interface FrameCounts {
  readonly taken: number;
  readonly sent: number;
}

interface Mark extends FrameCounts {
  readonly vector: VersionVector;
}

const reaches = (counts: FrameCounts, mark: FrameCounts): boolean =>
  counts.taken >= mark.taken && counts.sent >= mark.sent;

/** Of what we took in, and of what we told, how much is on our disk? */
class OurDisk {
  #taken = 0;
  #sent = 0;
  /** What we held when so many frames had gone either way. */
  #mark: Mark | undefined;

  /** `held` is what we hold as the link begins: the peer was told that. */
  constructor(held: VersionVector) {
    this.#mark = { taken: 0, sent: 0, vector: held.clone() };
  }

  /** One more frame was taken in. */
  took(held: VersionVector): void {
    this.#taken++;
    this.#mark ??= this.#markAt(held);
  }

  /** One more frame was sent. */
  sent(held: VersionVector): void {
    this.#sent++;
    this.#mark ??= this.#markAt(held);
  }

  /** Our disk has `durable`: returns what to tell of, if that is news. */
  news(durable: VersionVector, held: VersionVector): FrameCounts | undefined {
    let news: FrameCounts | undefined;
    while (this.#mark !== undefined && durable.covers(this.#mark.vector)) {
      const passed: Mark = this.#mark;
      news = { taken: passed.taken, sent: passed.sent };
      // What came since then may be there, too.
      const isLast = passed.taken === this.#taken && passed.sent === this.#sent;
      this.#mark = isLast ? undefined : this.#markAt(held);
    }
    return news;
  }

  #markAt(held: VersionVector): Mark {
    return { taken: this.#taken, sent: this.#sent, vector: held.clone() };
  }
}

/** Of what the peer acknowledged, and of what it told, what is on its disk? */
class TheirDisk {
  /** What is there for certain. */
  stored: VersionVector;
  #taken = 0;
  #sent = 0;
  #told: FrameCounts = { taken: -1, sent: -1 };
  /** What it had for certain when so many frames had gone either way. */
  #mark: Mark | undefined;

  /** Nothing is known to be on its disk yet, though it holds `known`. */
  constructor(known: VersionVector) {
    this.stored = new VersionVector();
    this.#mark = { taken: 0, sent: 0, vector: known.clone() };
  }

  /** It has taken in `frames` more; it has `vector` now. */
  took(frames: number, vector: VersionVector): void {
    this.#taken += frames;
    this.#settle(vector);
  }

  /** It has sent one more; it has `vector` now. */
  sent(vector: VersionVector): void {
    this.#sent++;
    this.#settle(vector);
  }

  /** Its disk has what it had when `counts` frames had gone. */
  told(counts: FrameCounts, vector: VersionVector): void {
    this.#told = counts;
    this.#settle(vector);
  }

  #settle(vector: VersionVector): void {
    this.#mark ??= this.#markAt(vector);
    while (this.#mark !== undefined && reaches(this.#told, this.#mark)) {
      const passed: Mark = this.#mark;
      this.stored = passed.vector;
      const isLast = passed.taken === this.#taken && passed.sent === this.#sent;
      this.#mark = isLast ? undefined : this.#markAt(vector);
    }
  }

  #markAt(vector: VersionVector): Mark {
    return { taken: this.#taken, sent: this.#sent, vector: vector.clone() };
  }
}

/** What the disks of a link's two ends are. */
export interface DisksOptions {
  readonly environment: Environment;
  /** What we hold. */
  readonly held: VersionVector;
  /** What the peer holds for certain; both move on. */
  readonly acknowledged: VersionVector;
  /** What our disk has; absent if we have none. */
  readonly durable: (() => VersionVector) | undefined;
  /** Whether the peer has one. */
  readonly isPeerDurable: boolean;
  /** Tells the peer of ours. */
  readonly tell: (counts: FrameCounts) => void;
}

/** The disks of a link's two ends, if they have any. */
export class Disks {
  readonly #options: DisksOptions;
  readonly #ours: OurDisk | undefined;
  readonly #theirs: TheirDisk | undefined;
  #looksSoon = false;

  constructor(options: DisksOptions) {
    this.#options = options;
    if (options.durable) this.#ours = new OurDisk(options.held);
    if (options.isPeerDurable) this.#theirs = new TheirDisk(options.acknowledged);
    this.#lookSoon();
  }

  /** What the peer has as safely as it can: on its disk if it has one. */
  get kept(): VersionVector {
    return this.#theirs?.stored ?? this.#options.acknowledged;
  }

  /** A frame of the peer's was taken in. */
  received(): void {
    this.#ours?.took(this.#options.held);
    this.#theirs?.sent(this.#options.acknowledged);
    this.#lookSoon();
  }

  /** A frame of ours was sent. */
  sent(): void {
    this.#ours?.sent(this.#options.held);
    this.#lookSoon();
  }

  /** The peer has taken in frames of ours. */
  acknowledged(frames: number): void {
    this.#theirs?.took(frames, this.#options.acknowledged);
  }

  /** The peer's disk has what it had when `counts` frames had gone. */
  told(counts: FrameCounts): void {
    this.#theirs?.told(counts, this.#options.acknowledged);
  }

  /** Our disk has more. */
  stored(): void {
    const { durable, held, tell } = this.#options;
    const news = durable && this.#ours?.news(durable(), held);
    if (news) tell(news);
  }

  /** A frame that brings nothing new is on the disk already. Once for all of a turn. */
  #lookSoon(): void {
    if (this.#ours === undefined || this.#looksSoon) return;
    this.#looksSoon = true;
    this.#options.environment.defer(() => {
      this.#looksSoon = false;
      this.stored();
    });
  }
}
