/** One operation, whose result may be there at once. */
import type { Awaitable } from "../strategy.ts";

/** How an operation ends. */
export interface Ending<T> {
  readonly answered: (result: T) => void;
  readonly failed: (error: unknown) => void;
}

/** Runs `operation` and tells how it ended; waits only if it has to. */
export function attempt<T>(
  operation: () => Awaitable<T>,
  { answered, failed }: Ending<T>,
): void | Promise<void> {
  let result: Awaitable<T>;
  try {
    result = operation();
  } catch (error) {
    return failed(error);
  }
  if (!(result instanceof Promise)) return answered(result);
  return result.then(answered, failed);
}

/** The verb, or an error that names who lacks it. */
export function needed<T>(verb: T | undefined, name: string): T {
  if (verb === undefined) throw new Error(`the strategy cannot ${name}`);
  return verb;
}
