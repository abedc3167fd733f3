/** Whether the seeds reach the paths that they are there for: how many runs saw what. */

/** What a run may come across. */
export const sights = [
  "series",
  "resumed series",
  "complete series",
  "below the floor",
  "renumbered links",
  "held stamps",
  "refused clocks",
  "silent links",
  "stalled links",
  "crossing links",
  "gaps",
  "conflicts",
  "removals kept",
  "undone transactions",
  "bursts",
  "restarts",
  "restarts from a disk",
  "writes that a crash lost",
  "clocks an hour back",
  "slow disks",
  "slow disks of who stands still",
  "full disks",
  "disks that refuse",
  "durable waits",
  "relays",
  "late waits",
  "lost versions",
  "long rests",
  "slow hops",
] as const;

/** One of them. */
export type Sight = (typeof sights)[number];

/** What one run came across. */
export class Sightings {
  readonly #seen = new Set<Sight>();

  saw(sight: Sight): void {
    this.#seen.add(sight);
  }

  has(sight: Sight): boolean {
    return this.#seen.has(sight);
  }
}

/** How many runs did. */
export class Coverage {
  readonly #runs = new Map<Sight, number>();

  add(sightings: Sightings): void {
    for (const sight of sights) {
      if (sightings.has(sight)) this.#runs.set(sight, (this.#runs.get(sight) ?? 0) + 1);
    }
  }

  /** What no run has seen. */
  get missing(): Sight[] {
    return sights.filter((sight) => !this.#runs.has(sight));
  }

  /** One line. */
  get text(): string {
    return sights.map((sight) => `${sight} ${this.#runs.get(sight) ?? 0}`).join(", ");
  }
}
