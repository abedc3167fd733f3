/**
 * The actors that a replica has heard of, each with a small number, and which of them changed last.
 *
 * Numbers index typed arrays. The order of change answers "who wrote since this peer's last frame?"
 * in time proportional to the answer, with a thousand idle actors in the vector.
 */
import { type ActorId } from "./dot.ts";

const none = -1;

/** Interns actor names and keeps them in the order of their latest change. */
export class Actors {
  readonly #numbers = new Map<ActorId, number>();
  readonly #names: ActorId[] = [];
  readonly #changedAt: number[] = [];
  readonly #earlier: number[] = [];
  readonly #later: number[] = [];
  #latest = none;
  #changes = 0;

  /** The number of `name`, given on first sight. */
  intern(name: ActorId): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    const actor = this.#names.length;
    this.#numbers.set(name, actor);
    this.#names.push(name);
    this.#changedAt.push(0);
    this.#earlier.push(none);
    this.#later.push(none);
    return actor;
  }

  /** Gives a number another name, which must be new; the old name is nobody's. */
  rename(actor: number, name: ActorId): void {
    this.#numbers.delete(this.name(actor));
    this.#numbers.set(name, actor);
    this.#names[actor] = name;
  }

  /** The number of `name`, if it was heard of. */
  find(name: ActorId): number | undefined {
    return this.#numbers.get(name);
  }

  /** The name behind a number that `intern` gave. */
  name(actor: number): ActorId {
    return this.#names[actor] as ActorId;
  }

  /** How many actors have numbers: all below this. */
  get count(): number {
    return this.#names.length;
  }

  /** How often anything changed; a mark for `changedSince`. */
  get changes(): number {
    return this.#changes;
  }

  /** Notes that `actor` did something new. O(1). */
  changed(actor: number): void {
    this.#changes++;
    if (this.#latest !== actor) {
      this.#unlink(actor);
      if (this.#latest !== none) this.#later[this.#latest] = actor;
      this.#earlier[actor] = this.#latest;
      this.#later[actor] = none;
      this.#latest = actor;
    }
    this.#changedAt[actor] = this.#changes;
  }

  /** The actors changed after `mark`, latest first. O(their number). */
  changedSince(mark: number): number[] {
    const changed: number[] = [];
    let actor = this.#latest;
    while (actor !== none && (this.#changedAt[actor] as number) > mark) {
      changed.push(actor);
      actor = this.#earlier[actor] as number;
    }
    return changed;
  }

  #unlink(actor: number): void {
    if (this.#changedAt[actor] === 0) return;
    const earlier = this.#earlier[actor] as number;
    const later = this.#later[actor] as number;
    if (earlier !== none) this.#later[earlier] = later;
    if (later !== none) this.#earlier[later] = earlier;
  }
}
