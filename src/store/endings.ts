/** Which actors have ended, as far as we were told. */
import type { Actors } from "../crdt/actors.ts";
import type { ActorId } from "../crdt/dot.ts";
import { type Ending, endingCode, joinEndings } from "../crdt/ending.ts";
import type { VersionVector } from "../crdt/version-vector.ts";

/** Facts that are kept about actors of whom nothing is held; the oldest go first. */
export const strangersMax = 1_024;

/** The facts of one replica. */
export class Endings {
  readonly #known = new Map<ActorId, Ending>();
  readonly #strangers = new Map<ActorId, Ending>();
  readonly #actors: Actors;
  readonly #held: VersionVector;
  readonly #learnt: (actor: ActorId) => void;

  /** `held` is the vector, by the numbers of `actors`; `learnt` is called for each fact that is news. */
  constructor(actors: Actors, held: VersionVector, learnt: (actor: ActorId) => void) {
    this.#actors = actors;
    this.#held = held;
    this.#learnt = learnt;
  }

  /** When `actor` ended, if it is known to have. */
  of(actor: ActorId): Ending | undefined {
    return this.#known.get(actor) ?? this.#strangers.get(actor);
  }

  /** All facts. */
  *entries(): Generator<readonly [actor: ActorId, ending: Ending]> {
    yield* this.#known;
    yield* this.#strangers;
  }

  /** Takes a fact in. O(1). */
  learn(actor: ActorId, ending: Ending): void {
    const before = this.of(actor);
    const now = joinEndings(before, ending);
    if (endingCode(now) === endingCode(before)) return;
    this.#strangers.delete(actor);
    const number = this.#actors.find(actor);
    // It is part of what peers compare.
    if (number !== undefined) this.#actors.changed(number);
    (this.#isHeld(actor) ? this.#known : this.#strangers).set(actor, now);
    for (const [oldest, fact] of this.#strangers) {
      if (this.#strangers.size <= strangersMax) break;
      this.#strangers.delete(oldest);
      // Something of it has come since.
      if (this.#isHeld(oldest)) this.#known.set(oldest, fact);
    }
    this.#learnt(actor);
  }

  #isHeld(actor: ActorId): boolean {
    const number = this.#actors.find(actor);
    return number !== undefined && this.#held.at(number) > 0;
  }
}
