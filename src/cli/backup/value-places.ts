/** Which of the values of a register that are beside each other is this one? They may be in several lines. */
import type { Content, ContentLine } from "./format.ts";

/** Where a register is: a key, or a field of an entry under it. */
export interface RegisterName {
  readonly entry?: string;
  readonly field?: string;
}

/** Counts the values of the registers of one key after the other. */
export class ValuePlaces {
  #last: ContentLine | undefined;
  readonly #seen = new Map<string, number>();

  /** Goes on to a line, which is of the same key or of a later one. */
  at(line: ContentLine): void {
    const isSame = this.#last?.collection === line.collection && this.#last.key === line.key;
    if (!isSame) this.#seen.clear();
    this.#last = line;
  }

  /** The place of the first of `count` further values of a register, from 0 on. */
  take({ entry = "", field = "" }: RegisterName, count: number): number {
    const name = JSON.stringify([entry, field]);
    const place = this.#seen.get(name) ?? 0;
    this.#seen.set(name, place + count);
    return place;
  }
}

/** The registers in a line that hold several values at once, and how many of them are in it. */
export function* severalIn(content: Content): Generator<readonly [RegisterName, number]> {
  if (content.kind === "mv-register") yield [{}, content.values.length];
  if (content.kind !== "or-map") return;
  for (const [entry, field, held] of content.entries) {
    if (held.kind === "mv-register") yield [{ entry, field }, held.values.length];
  }
}
