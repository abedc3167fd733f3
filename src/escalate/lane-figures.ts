/** How contended one guarded value is, as the callers of this replica meet it. */

/** How long until a conflict counts half as recent, in ms. */
const halfLifeMs = 30_000;

/** Of one value. */
export interface LaneFigure {
  readonly resource: string;
  /** Callers so far. */
  readonly calls: number;
  /** Attempts that wrote, or found that nothing was to be written. */
  readonly decided: number;
  /** Attempts that somebody else overtook. */
  readonly conflicts: number;
  /** Of those, attempts that a lease kept off. */
  readonly held: number;
  /** Attempts under a lease of our own. */
  readonly leases: number;
  /** Callers in line now. */
  readonly queued: number;
  /** Conflicts lately: those half a minute ago count half. */
  readonly recentConflicts: number;
  /** To the store and back, lately, in ms. */
  readonly roundTripMs: number;
}

/** Counts the attempts at one value. */
export class LaneFigures {
  decided = 0;
  conflicts = 0;
  held = 0;
  leases = 0;
  #heat = 0;
  #heatMs = 0;

  /** `nowMs` on the monotonic clock. */
  conflicted(isHeld: boolean, nowMs: number): void {
    this.conflicts++;
    if (isHeld) this.held++;
    this.#heat = this.heat(nowMs) + 1;
    this.#heatMs = nowMs;
  }

  /** Conflicts lately. */
  heat(nowMs: number): number {
    return this.#heat * 0.5 ** ((nowMs - this.#heatMs) / halfLifeMs);
  }
}

/** The hottest first: those in line count, too. */
export const byHeat = (left: LaneFigure, right: LaneFigure): number =>
  right.recentConflicts + right.queued - (left.recentConflicts + left.queued);
