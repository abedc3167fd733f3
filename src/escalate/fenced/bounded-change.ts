/** A change that waits for something holds up all that are written together with it: not for ever. */
import type { Environment } from "../../environment.ts";
import { WaitTimeoutError } from "../../errors.ts";

/** How long a change may wait for what it waits for, in ms. */
export const changeMsMax = 30_000;

/** What a change returned, at once or in time. @throws WaitTimeoutError; what it rejects with. */
export function withinBound(returned: unknown, environment: Environment): unknown {
  if (!isThenable(returned)) return returned;
  return new Promise((resolve, reject) => {
    const timer = environment.schedule(changeMsMax, () => {
      const what = `a change waited for longer than ${changeMsMax} ms; nothing of it was written`;
      reject(new WaitTimeoutError(what, { waitMs: changeMsMax }));
    });
    Promise.resolve(returned)
      .finally(() => timer.cancel())
      .then(resolve, reject);
  });
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" &&
  value !== null &&
  "then" in value &&
  typeof value.then === "function";
