/**
 * How the pool of a counter is written. Many holders write it, each of them seldom, so how soon a round is
 * through matters less than how often the store is asked for it: pauses grow, and who was overtaken a few
 * times stands in line.
 */
import { type Environment, fraction } from "../../environment.ts";
import type { Attempt, Met, Strategy } from "../contention.ts";
import { pauseMsMax } from "../pauses.ts";

/** One that was overtaken so often stands in line. */
const conflictsMax = 4;

/** For one pool. */
export class PoolStrategy implements Strategy {
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  choose({ conflicts, held }: Met): Attempt {
    return conflicts >= conflictsMax || held > 0 ? "lease" : "compare-and-set";
  }

  observe(): void {}

  pauseMs({ conflicts, held }: Pick<Met, "conflicts" | "held">, roundTripMs: number): number {
    if (conflicts <= 1 || held > 0) return 0;
    const most = 3 ** Math.min(conflicts - 1, 3);
    return Math.min(pauseMsMax, roundTripMs * (1 + most * fraction(this.#environment)));
  }

  restMs(): number {
    return 0;
  }
}
