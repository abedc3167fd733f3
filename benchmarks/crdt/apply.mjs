/**
 * What does it cost to take in what 8 replicas did: 100,000 increments each over 10,000 keys, in
 * updates of 1,000 and of one, arriving in turns? The floor is `JSON.parse` and the larger total.
 * Making the updates is not counted. Rivals are cut off after a while; costs are per increment. What
 * ours and the floor have taken in is kept until the row ends, see `load.mjs`.
 */
import { adapter, rivalNames } from "./contestants.mjs";
import { interleave, spend, summarise, verify } from "./measure.mjs";

export const title = "Applying remote increments, CPU time each";

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "apply-batched",
    label: "8 writers, updates of 1,000 increments",
    unit: "ns",
    target: { ratio: { atMost: 2 } },
    why: "each cell is checked, then joined and logged; the floor believes what it parses",
    batch: 1_000,
    rivalUpdates: { yjs: 400, loro: 160 },
  },
  {
    id: "apply-single",
    label: "8 writers, updates of 1 increment",
    unit: "ns",
    target: { ratio: { atMost: 2 } },
    why: "a frame of one counter costs as much to open and to close as to join",
    batch: 1,
    rivalUpdates: { yjs: 80_000, loro: 8_000 },
  },
];

/** Measures one row. */
export async function measure({ batch, rivalUpdates }, { quick }) {
  const updates = (quick ? 160_000 : 800_000) / batch;
  const stream = { writers: 8, keyCount: 10_000, batch, updates };
  const kept = [];
  const contestant = (name, limits) => {
    const part = { ...stream, updates: Math.min(limits.updates ?? updates, updates) };
    let made;
    return {
      name,
      rounds: limits.rounds,
      async round(warming) {
        const library = await adapter(name);
        made ??= await library.makeUpdates(part);
        const receiver = await library.openReceiver(part);
        const plan = { stream: part, made, warming, wallMsMax: limits.wallMsMax };
        const cost = await take(name, receiver, plan);
        if (rivalNames.includes(name)) await receiver.close?.();
        else kept.push(receiver);
        return cost;
      },
    };
  };
  return summarise(
    await interleave(
      [
        contestant("floor", { wallMsMax: 10_000 }),
        contestant("ours", { wallMsMax: 10_000 }),
        ...rivalNames.map((name) =>
          contestant(name, {
            updates: quick ? rivalUpdates[name] / 8 : rivalUpdates[name],
            wallMsMax: quick ? 200 : 1_500,
            rounds: 3,
          }),
        ),
      ],
      3,
    ),
  );
}

/** One receiver takes the updates, in ns of CPU time an increment. */
async function take(name, receiver, { stream, made, warming, wallMsMax }) {
  let applied = 0;
  const { nsEach } = await spend(() => {
    const end = performance.now() + (warming ? Math.min(wallMsMax, 300) : wallMsMax);
    // A look at the clock for each update would be a good part of the floor's cost.
    const stride = stream.batch > 1 ? 8 : 500;
    while (applied < made.length && performance.now() < end) {
      const next = Math.min(applied + stride, made.length);
      for (; applied < next; applied++) receiver.apply(made[applied], applied % stream.writers);
    }
    return applied * stream.batch;
  });
  verify(name, receiver.check(), applied * stream.batch);
  return nsEach;
}
