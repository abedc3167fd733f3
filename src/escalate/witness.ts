/**
 * A witness outside a directory. Why is one needed? A directory that was set back, or copied beneath the
 * file system, looks whole from inside, and every process that opens it believes that it is the newest.
 * So each write that is acknowledged out of it has a number (its _serial_), and how far that went is
 * remembered elsewhere: in the memory of the machine, which no copy of a directory takes along.
 *
 * The order is: the serial on the disk, then the mark, then the answer. So whoever comes after a crash with a
 * serial below the mark has lost something that was answered, and may not go on as if he had not.
 */

/** What is remembered of the state that is called `id`. */
export type Testimony =
  /** Nothing: another machine, one that was started again, or never opened. */
  | { readonly kind: "absent"; readonly turn: number; readonly why: string }
  /** Whoever has it may still run. */
  | { readonly kind: "in-use"; readonly by: string }
  /** Whoever had it is gone; what it acknowledged went so far. */
  | { readonly kind: "left"; readonly turn: number; readonly serial: number };

/** The place of who has the state now. */
export interface Stand {
  /** All up to here may be acknowledged after this. Memory only, so it waits for nothing. @throws Error: nothing may be. */
  mark(serial: number): void;
  /** The state is closed; what was marked stays. Twice is harmless. */
  leave(): void;
}

/** Remembers, for as long as the machine runs. */
export interface Witness {
  /** `id` is drawn at random for a state, and stands in it: lower-case letters, digits and `-`, at most 64. */
  recall(id: string): Promise<Testimony>;
  /**
   * Takes the place from who left it at `turn`, of `recall`. The serial is on the disk already, or at least
   * nothing is acknowledged before it is. `undefined`: somebody else took it meanwhile.
   * @throws Error when it cannot be remembered: then nothing may be acknowledged.
   */
  take(id: string, turn: number, serial: number): Promise<Stand | undefined>;
}

/** What a directory says of itself. */
export interface OnDisk {
  /** Of its last write. */
  readonly serial: number;
  /** It was closed as it should be, with that write. */
  readonly isClosed: boolean;
}

/**
 * Why a state may not be gone on with; `undefined`: it may. A state that was closed is believed where nobody
 * remembers it (it may have moved to another machine), one that was not is not. `isExclusive`: an operator
 * asserts that no copy runs and that there never was a newer state; that a copy runs, the witness knows better.
 */
export function objection(
  onDisk: OnDisk,
  testimony: Testimony,
  isExclusive: boolean,
): string | undefined {
  switch (testimony.kind) {
    case "in-use":
      return `it, or a copy of it, is in use by ${testimony.by}`;
    case "left":
      if (isExclusive || onDisk.serial >= testimony.serial) return undefined;
      return (
        `it was set back: write ${testimony.serial} was acknowledged on this machine, ` +
        `and it has ${onDisk.serial}`
      );
    case "absent":
      if (isExclusive || onDisk.isClosed) return undefined;
      return `it was not closed, and nobody outside of it knows whether it is the newest (${testimony.why})`;
  }
}

/** Where there is none: who was not closed as it should be is not believed. */
export const noWitness = (why: string): Witness => ({
  recall: async () => ({ kind: "absent", turn: 0, why }),
  take: async () => ({ mark: () => undefined, leave: () => undefined }),
});
