/** What is wrong with the settings: all of it at once, each with its place. */
import { UsageError } from "../../errors.ts";

/** Problems that are listed; the rest is counted. */
const listedMax = 50;

/** Gathers what is wrong. */
export class Problems {
  readonly #lines = new Set<string>();

  /** `where` is a file with a line, a flag or a variable. */
  add(where: string, what: string): void {
    this.#lines.add(`${where}: ${what}`);
  }

  /** @throws UsageError with everything that was added, if anything was */
  assertNone(): void {
    const lines = [...this.#lines];
    if (lines.length === 0) return;
    const more = lines.length - listedMax;
    const listed = lines.slice(0, listedMax).join("\n  ");
    const rest = more > 0 ? `\n  and ${more} more` : "";
    const head = lines.length === 1 ? "" : `${lines.length} settings are wrong:\n  `;
    throw new UsageError(`${head}${listed}${rest}`);
  }
}

/** The one of `known` that is nearest to `word`, if it is near enough to be what was meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const near = known
    .map((name) => ({ name, distance: distance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance: far }) => far <= Math.max(2, Math.floor(name.length / 3)))
    .toSorted((left, right) => left.distance - right.distance);
  return near[0]?.name;
}

/** Of which letters at most are compared. */
const wordLengthMax = 64;

/** How many letters have to be put in, taken out or changed (Levenshtein). */
function distance(left: string, right: string): number {
  if (left.length > wordLengthMax || right.length > wordLengthMax) return Infinity;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (const [index, letter] of Array.from(left).entries()) {
    const next = [index + 1];
    for (const [at, other] of Array.from(right).entries()) {
      const changed = (row[at] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
