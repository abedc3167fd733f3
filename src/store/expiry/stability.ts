/**
 * Has everybody heard of it, and is all here that they wrote before they had? What each peer has on its
 * disk is noted; once we hold all of that too, whatever all of these notes cover is stable: nothing will
 * come that has not seen it.
 */
import type { VersionVector } from "../../crdt/version-vector.ts";

/** What is stable among the peers that are known. */
export class Stability {
  readonly #held: VersionVector;
  readonly #peers: () => readonly VersionVector[];
  #now: readonly VersionVector[] = [];
  /** What peers had, which we do not hold all of yet. */
  #awaited: readonly VersionVector[] | undefined;
  /** What peers had, all of which we hold. */
  #reached: readonly VersionVector[] = [];

  /** `peers` tells what each has for certain: those that are connected, and those seen lately. */
  constructor(held: VersionVector, peers: () => readonly VersionVector[]) {
    this.#held = held;
    this.#peers = peers;
  }

  /** Looks at the peers anew. O(peers x actors). */
  refresh(): void {
    this.#now = this.#peers();
    this.#awaited ??= this.#now.map((vector) => vector.clone());
    if (!this.#awaited.every((vector) => this.#held.covers(vector))) return;
    this.#reached = this.#awaited;
    this.#awaited = undefined;
  }

  /** Whether a batch was stable when last looked at. O(peers). */
  covers(actor: number, sequence: number): boolean {
    const has = (vector: VersionVector): boolean => vector.at(actor) >= sequence;
    // A peer that came since is in no note yet.
    return this.#reached.length >= this.#now.length && [...this.#reached, ...this.#now].every(has);
  }
}
