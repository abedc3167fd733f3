import { setTimeout as sleep } from "node:timers/promises";

/** How often a condition is looked at, in ms. */
const everyMs = 5;

/** Waits for a condition. @throws Error that says `what` did not come true within `withinMs`. */
export async function until(
  what: string,
  withinMs: number,
  isMet: () => boolean | Promise<boolean>,
): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!(await isMet())) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(everyMs);
  }
}
