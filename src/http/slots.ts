/** How many may be under way at a time: of all, and of one subject. */

/** One that is under way. */
export interface Slot {
  /** Says whose it is. False, and the slot is free again, when that subject has its share already. */
  claim(subject: string): boolean;
  /** Harmless twice. */
  free(): void;
}

/** A bounded number of slots. */
export class Slots {
  readonly #max: number;
  readonly #perSubjectMax: number;
  readonly #bySubject = new Map<string, number>();
  #taken = 0;

  /** One subject has that share of them at most, and at least one. */
  constructor(max: number, perSubjectShare: number) {
    this.#max = max;
    this.#perSubjectMax = Math.max(1, Math.floor(max * perSubjectShare));
  }

  /** Those that are under way. */
  get taken(): number {
    return this.#taken;
  }

  /** One more, if there is room. O(1). */
  take(): Slot | undefined {
    if (this.#taken >= this.#max) return undefined;
    this.#taken++;
    let owner: string | undefined;
    let isFree = false;
    const free = (): void => {
      if (isFree) return;
      isFree = true;
      this.#taken--;
      if (owner !== undefined) this.#leave(owner);
    };
    return {
      free,
      claim: (subject) => {
        const before = this.#bySubject.get(subject) ?? 0;
        if (before >= this.#perSubjectMax) {
          free();
          return false;
        }
        owner = subject;
        this.#bySubject.set(subject, before + 1);
        return true;
      },
    };
  }

  #leave(subject: string): void {
    const left = (this.#bySubject.get(subject) ?? 1) - 1;
    if (left === 0) this.#bySubject.delete(subject);
    else this.#bySubject.set(subject, left);
  }
}
