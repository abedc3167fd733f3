/**
 * How do two replicas become alike, whatever came before, twice, late or by another path?
 *
 * Everything sent is a delta interval: "from this vector to that vector, these slots". A live batch,
 * a catch-up and a full state differ only in `from`. A receiver whose vector V covers `from` joins
 * each slot it is told and then its vector with T, the interval's `to`.
 *
 * A slot holds at most one *cell* per actor: the latest write of that actor there that still
 * matters. A live cell is content. A bare cell is a removal: it holds nothing, it only makes the slot
 * travel to those who have not heard of it, and is forgotten once they all have.
 *
 *   - My live cell stays unless the sender knows it (T covers it) and no longer has it.
 *   - The sender's cell comes unless I know it (V covers it): then I have it, or had it removed.
 *   - A write is later than all that its replica held: it replaces every cell of its slot. (In a
 *     counter each actor's cell is a slot of its own, so nothing is ever replaced but one's own.)
 *   - A cell that T covers and the interval lacks leaves nothing behind: whatever removed it is in
 *     the interval, as a cell of the same slot, or below the floor that comes with a complete state.
 *
 * The plain form below is what the tests compare the keyspace with; `store/join.ts` is the same
 * rule over typed arrays. `test/models/interval.mjs` checks the rule against a causal oracle.
 *
 * @see Almeida, Shoker, Baquero 2018, "Delta state replicated data types", arXiv:1603.01529
 * @see Bieniusa et al. 2012, "An optimized conflict-free replicated set", arXiv:1210.3368
 */

/** One actor's latest write on a slot. */
export interface Cell<A = number> {
  readonly actor: A;
  readonly sequence: number;
  /** False: this write removed what it saw. */
  readonly live: boolean;
}

/** A vector as a look-up; 0 for actors that it does not know. */
export type VectorAt<A = number> = (actor: A) => number;

/** Whether a live cell of mine stays: `told` is whether the interval has this very cell. */
export const mineStays = (sequence: number, theirs: number, told: boolean): boolean =>
  theirs < sequence || told;

/** Whether a cell of the interval comes: my vector at its actor does not cover it. */
export const theirsComes = (sequence: number, mine: number): boolean => mine < sequence;

/** The join of one slot, in plain values. */
export function joinSlot<A, C extends Cell<A>>(
  mine: readonly C[],
  theirs: readonly C[],
  vectors: { readonly mine: VectorAt<A>; readonly theirs: VectorAt<A> },
): C[] {
  const joined = new Map<A, C>();
  for (const cell of mine) {
    const told = theirs.some(
      (other) => other.live && other.actor === cell.actor && other.sequence === cell.sequence,
    );
    if (!cell.live || mineStays(cell.sequence, vectors.theirs(cell.actor), told)) {
      joined.set(cell.actor, cell);
    }
  }
  for (const cell of theirs) {
    if (theirsComes(cell.sequence, vectors.mine(cell.actor))) joined.set(cell.actor, cell);
  }
  return [...joined.values()];
}
