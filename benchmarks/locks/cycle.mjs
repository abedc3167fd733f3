/** What does a lock cost that nobody else wants: acquire, commit, release, against the raw requests? */
import { median } from "../crdt/measure.mjs";
import { operationId, ttlMs, value, waitMs } from "./backends.mjs";
import { pairs } from "./paired.mjs";
import { tripsBetween } from "./way.mjs";

export const title = "Uncontended acquire + commit + release, time for all three";

const samples = 21;
const ratioMax = 1.3;

/** One after the other, on one resource. */
export const cycleOf = (locks, resource) => async () => {
  const lease = await locks.acquire(resource, { ttlMs, waitMs });
  await locks.commit([{ lease, value }], operationId());
  await lease.release();
};

/** The rows of one backend. */
export const rowsOf = (backend) => timeRows(backend, "cycle", cycleOf, backend.tripsMax.cycle);

/**
 * Round trips, and the time in two networks. `workOf` makes our work, `part` names it and that of the
 * bare client.
 */
export function timeRows({ name, bare, why = {} }, part, workOf, tripsMax) {
  const [id, method] = [`${name}/${part}`, part === "cycle" ? "cycle" : "set"];
  const time = (suffix, network, delayMs) => ({
    id: id + suffix,
    label: `${name}, ${network}`,
    unit: "us",
    ...(bare ? { target: { ratio: { atMost: ratioMax } } } : {}),
    why: why[part] ?? why.time,
    async measure({ open, isQuick }) {
      const way = await open(delayMs);
      const [locks, floor] = [await way.locks(), await way.bare()];
      return pairs(workOf(locks, "one"), floor?.[method], isQuick);
    },
  });
  const trips = {
    id: `${id}-trips`,
    label: `${name}, round trips`,
    unit: "",
    target: { ours: { atMost: tripsMax } },
    why: why[part],
    async measure({ open }) {
      const way = await open(0);
      const [locks, floor] = [await way.locks(), await way.bare()];
      const ours = await tripsOf(way, workOf(locks, "one"));
      return { ours, floor: floor ? await tripsOf(way, floor[method]) : null, ratio: null };
    },
  };
  if (!bare) return [time("", "no way at all", undefined)];
  return [trips, time("", "loopback", undefined), time("-1ms", "1 ms each way", 1)];
}

/** The median, since a session may be renewed in between. */
async function tripsOf(way, work) {
  await work();
  const counts = [];
  for (let i = 0; i < samples; i++) {
    const before = way.asked;
    await work();
    counts.push(tripsBetween(before, way.asked));
  }
  return median(counts);
}
