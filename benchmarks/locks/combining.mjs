/** How many callers of one process get through to one hot key far away: together, or each with a lock? */
import { systemEnvironmentOf } from "./environment.mjs";
import { built } from "./build.mjs";
import { operationId, ttlMs, waitMs } from "./backends.mjs";

export const title =
  "48 callers of one process, one hot key, 2.6 ms round trip: guarded updates, against a naive lock";

const callers = 48;
export const eachWayMs = 1.3;
const plans = { whole: 2_000, quick: 400 };
/** The first part of that time does not count. */
const warmPart = 0.2;

/** The rows of one backend. */
export const rowsOf = ({ name, bare, combinedMin, why = {} }) => [
  {
    id: `${name}/combining`,
    label: bare ? name : `${name}, no way at all`,
    unit: "/s",
    ...(combinedMin ? { target: { ours: { atLeast: combinedMin } } } : {}),
    why:
      why.combining ??
      "writes follow one another, each with up to 48 updates, a round trip and what is durable",
    async measure({ open, isQuick }) {
      const ms = isQuick ? plans.quick : plans.whole;
      return compareCombined(await open(eachWayMs), ms);
    },
  },
];

/** Both over one client, for `ms` each, in updates a second. */
export async function compareCombined(way, ms) {
  const locks = await way.locks();
  const ours = await combined(locks, ms);
  const floor = await naive(locks, ms);
  return { ours, floor, ratio: ours / floor };
}

async function combined(locks, ms) {
  const { GuardedUpdates } = await built("src/escalate/guarded-updates");
  const updates = new GuardedUpdates(locks, await systemEnvironmentOf());
  const add = (current) => ({ value: Buffer.from(String(numberIn(current) + 1)), result: 0 });
  const rate = await atOnce(callers, ms, () => updates.update("combined", add, { waitMs }));
  await updates.close();
  await verify(locks, "combined", rate.all);
  return rate.perSecond;
}

/** Acquire, read, write, release; as it is done where the value is somewhere else than the lock. */
async function naive(locks, ms) {
  const rate = await atOnce(callers, ms, async () => {
    const lease = await locks.acquire("naive", { ttlMs, waitMs });
    const current = await locks.read("naive");
    const sum = Buffer.from(String(numberIn(current?.value) + 1));
    await locks.commit([{ lease, value: sum }], operationId());
    await lease.release();
  });
  await verify(locks, "naive", rate.all);
  return rate.perSecond;
}

/** So many callers, each of which begins again when it is done. The first moments do not count. */
export async function atOnce(count, ms, work) {
  const startMs = performance.now();
  const fromMs = startMs + ms * warmPart;
  const untilMs = fromMs + ms;
  let [all, counted] = [0, 0];
  const call = async (_, i) => {
    while (performance.now() < untilMs) {
      await work(i);
      all++;
      const nowMs = performance.now();
      if (nowMs >= fromMs && nowMs < untilMs) counted++;
    }
  };
  await Promise.all(Array.from({ length: count }, call));
  return { all, perSecond: (counted * 1_000) / ms };
}

const numberIn = (bytes) => (bytes ? Number(Buffer.from(bytes).toString()) : 0);

/** Fails the row if an update was lost. */
export async function verify(locks, resource, expected) {
  const found = numberIn((await locks.read(resource))?.value);
  if (found !== expected) throw new Error(`${resource} holds ${found}, not ${expected}`);
}
