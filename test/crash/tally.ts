/** Crashes a replica at every point of a seed, and counts what came of it. */
import { crashRun, type Sabotage } from "./cluster.ts";
import { type Point, points } from "./points.ts";

/** What to do. */
export interface TallyOptions {
  /** After so many it is done. */
  readonly pointsMax: number;
  readonly onFailure: (reason: string) => void;
  /** Plants a fault into each run. */
  readonly sabotage?: () => Sabotage;
}

/** Over several seeds. */
export class CrashTally {
  readonly #options: TallyOptions;
  readonly #byPoint = new Map<Point, number>();
  /** Points at which a replica crashed, each of them in a run of its own. */
  points = 0;
  seeds = 0;
  failures = 0;
  /** Crashes while it got over the first. */
  #again = 0;
  #promises = 0;

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  get isDone(): boolean {
    return this.points >= this.#options.pointsMax;
  }

  /** Every point of this seed, or as many as are left. */
  async run(seed: number): Promise<void> {
    const { sabotage, onFailure } = this.#options;
    this.seeds++;
    const attempt = async (point?: number): Promise<number> => {
      try {
        const {
          points: count,
          crashes,
          promises,
        } = await crashRun(seed, {
          point,
          sabotage: sabotage?.(),
        });
        for (const at of crashes) this.#byPoint.set(at, (this.#byPoint.get(at) ?? 0) + 1);
        this.#again += Math.max(0, crashes.length - 1);
        this.#promises += promises;
        return count;
      } catch (error) {
        this.failures++;
        onFailure(error instanceof Error ? error.message : String(error));
        return 0;
      }
    };
    const count = await attempt();
    for (let point = 1; point <= count && !this.isDone; point++) {
      // What was planted is found out.
      if (sabotage && this.failures > 0) return;
      await attempt(point);
      this.points++;
    }
  }

  /** Points of no run. */
  get missing(): Point[] {
    return points.filter((point) => !this.#byPoint.has(point));
  }

  /** In two lines. */
  get text(): string {
    const each = points.map((point) => `${point} ${this.#byPoint.get(point) ?? 0}`);
    return (
      `crashes at: ${each.join(", ")}\n` +
      `${this.points} points of ${this.seeds} seeds, ${this.#again} crashed again, ` +
      `${this.#promises} acknowledgements kept: ${this.failures} failures`
    );
  }
}
