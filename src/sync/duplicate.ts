/** At most one link stands to each peer. */
import type { Link } from "./link.ts";
import type { Hello } from "./message.ts";

/** One of two links to the same peer. */
export interface TwinLink {
  /** Whether we dialed. */
  readonly isDialed: boolean;
  /** Which of the links of the one who dialed it is; later ones have larger numbers. */
  readonly number: number;
}

/**
 * Whether the link that was just made stays, and not the one that stands. Both ends must keep the same
 * one: one that the smaller actor dialed, and among those of one dialer the one that it began last,
 * since it would not dial while the other stands.
 */
export function isPreferred(made: TwinLink, standing: TwinLink, areWeSmaller: boolean): boolean {
  if (made.isDialed !== standing.isDialed) return made.isDialed === areWeSmaller;
  return made.number > standing.number;
}

/** The link to who says `hello`: one that we dialed has our number, another one the peer's. */
export const twin = ({ url, number }: Link, hello: Hello | undefined): TwinLink => ({
  isDialed: url !== undefined,
  number: url === undefined ? (hello?.link ?? 0) : number,
});
