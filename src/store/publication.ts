/**
 * Which of our own batches may anybody know?
 *
 * While a link streams, all of them. While none does, those up to the last link's end, or up to what
 * was written to the disk, which may be copied. What came since can still be given to another actor,
 * should it turn out that somebody else writes as ours (`fork.ts`). A counter's cell is a running
 * total, so what it was by then is noted before it is first added to.
 */
import { NumberSet } from "./numbering.ts";

/** A counter's cell of ours, as it may be known. */
export interface PublishedTotal {
  readonly node: number;
  readonly total: number;
  readonly sequence: number;
}

/** What of one actor is public. */
export class Publication {
  #isAlone = false;
  #upTo = 0;
  #nodes = new NumberSet();
  #totals: PublishedTotal[] = [];

  /** Whether no link streams, and one may some time. */
  get isAlone(): boolean {
    return this.#isAlone;
  }

  /** Whether totals have to be noted. */
  get notes(): boolean {
    return this.#isAlone && this.#upTo > 0;
  }

  /** Our batches up to this one may be known. `held` is the last one there is. */
  upTo(held: number): number {
    return this.#isAlone ? this.#upTo : held;
  }

  /** What counters were when their batch was public, for those that were added to since. */
  get totals(): readonly PublishedTotal[] {
    return this.#totals;
  }

  /** Everything up to `held` may be known from now on, and what comes next only if `isAlone` is not. */
  publish(held: number, isAlone: boolean = this.#isAlone): void {
    this.#isAlone = isAlone;
    this.#upTo = held;
    if (this.#totals.length === 0) return;
    this.#nodes = new NumberSet();
    this.#totals = [];
  }

  /** A cell of ours, last touched in batch `sequence`, is about to be added to. O(1). */
  note(node: number, total: number, sequence: number): void {
    if (sequence > this.#upTo || this.#nodes.has(node)) return;
    this.#nodes.add(node);
    this.#totals.push({ node, total, sequence });
  }
}
