/**
 * What does a replica hold? Everything each actor did up to a sequence, with all its causes.
 *
 * One vector stands for the whole replica, not one per key (server-wide clocks). Actors are named
 * by the small number that the replica gave them (`actors.ts`), so that a vector is one typed array
 * and a look-up is an index. Vectors are closed: a hole is never represented.
 *
 * @see Gonçalves, Almeida, Baquero, Fonte 2017, "DottedDB: Anti-Entropy without Merkle Trees"
 */

/** A vector over the actor numbers of one replica. Unknown actors are at 0. */
export class VersionVector {
  #entries: Int32Array;

  constructor(entries: Int32Array = new Int32Array(8)) {
    this.#entries = entries;
  }

  /** The sequence up to which `actor` is covered; 0 for none. */
  at(actor: number): number {
    return actor < this.#entries.length ? (this.#entries[actor] as number) : 0;
  }

  /** Moves `actor` to `sequence`; never backwards. */
  raise(actor: number, sequence: number): void {
    if (actor >= this.#entries.length) {
      const grown = new Int32Array(Math.max(actor + 1, this.#entries.length * 2));
      grown.set(this.#entries);
      this.#entries = grown;
    }
    if ((this.#entries[actor] as number) < sequence) this.#entries[actor] = sequence;
  }

  /** Takes back what `actor` did after `sequence`: it was given to another actor. */
  lower(actor: number, sequence: number): void {
    if (this.at(actor) > sequence) this.#entries[actor] = sequence;
  }

  /** The least upper bound of the two becomes this one. O(actors). */
  join(other: VersionVector): void {
    for (let actor = other.#entries.length - 1; actor >= 0; actor--) {
      const sequence = other.#entries[actor] as number;
      if (sequence > 0) this.raise(actor, sequence);
    }
  }

  /** Whether everything in `other` is in this one. O(actors). */
  covers(other: VersionVector): boolean {
    for (let actor = other.#entries.length - 1; actor >= 0; actor--) {
      if ((other.#entries[actor] as number) > this.at(actor)) return false;
    }
    return true;
  }

  /** Whether nothing is covered. */
  get isEmpty(): boolean {
    return this.#entries.every((sequence) => sequence === 0);
  }

  /** A copy that moves on its own. */
  clone(): VersionVector {
    return new VersionVector(this.#entries.slice());
  }

  /** The actors that are covered at all, with their sequences, by number. */
  *entries(): Generator<readonly [actor: number, sequence: number]> {
    for (let actor = 0; actor < this.#entries.length; actor++) {
      const sequence = this.#entries[actor] as number;
      if (sequence > 0) yield [actor, sequence];
    }
  }
}
