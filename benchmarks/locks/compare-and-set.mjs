/** What does a write without a lease cost, against one raw request that writes as much? */
import { operationId, value } from "./backends.mjs";
import { timeRows } from "./cycle.mjs";

export const title = "Compare-and-set, time for one";

/** Each expects what the one before it left. */
const setOf = (locks, resource) => {
  let version;
  return async () => {
    const guarded = await locks.compareAndSet(resource, version, value, operationId());
    version = guarded.version;
  };
};

/** The rows of one backend. */
export const rowsOf = (backend) =>
  timeRows(backend, "compare-and-set", setOf, backend.tripsMax.compareAndSet);
