/** How much time a lease must count as gone. */
import type { Environment } from "../../environment.ts";

/**
 * Starts to measure; the result tells the ms since then, on the larger of the two clocks. The monotonic
 * one may stand still while the machine sleeps, the wall clock may be set back; the larger is never less
 * than what really went by, unless both go wrong at once.
 */
export function elapsedSince(environment: Environment): () => number {
  const wallMs = environment.now();
  const steadyMs = environment.monotonic();
  return () => Math.max(environment.now() - wallMs, environment.monotonic() - steadyMs);
}
