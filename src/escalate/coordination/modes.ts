/**
 * Who may sit beside whom: the modes of shared and exclusive locks, with intentions for those above them.
 *
 * @see Gray et al. 1976, "Granularity of Locks and Degrees of Consistency in a Shared Data Base", table 1
 */
import type { Seating } from "./seats.ts";

/** What somebody may do below or at a name. An intention is taken at every name above. */
export type Mode = "intent-shared" | "intent-exclusive" | "shared" | "exclusive";

const beside: Readonly<Record<Mode, readonly Mode[]>> = {
  "intent-shared": ["intent-shared", "intent-exclusive", "shared"],
  "intent-exclusive": ["intent-shared", "intent-exclusive"],
  shared: ["intent-shared", "shared"],
  exclusive: [],
};

/** Whoever comes in so waits until all have left that it cannot be beside. A mode that nobody knows is beside nobody. */
export const seatingOf = (mode: Mode): Seating => ({
  mode,
  inTheWay: (seats) => {
    const inTheWay = seats.filter((seat) => !beside[mode].some((other) => other === seat.mode));
    return { seats: inTheWay, leaving: inTheWay.length };
  },
});

/** As many at once as there are permits. */
export const permits = (count: number): Seating => ({
  mode: "permit",
  inTheWay: (seats) => ({ seats, leaving: seats.length >= count ? 1 : 0 }),
});
