/** What the store can do by itself, against a lease for each: an add that keeps a bound, by 16 clients on one key. */
import { atOnce, verify } from "./combining.mjs";
import { operationId, ttlMs, waitMs } from "./backends.mjs";
import { freshPrefix } from "./way.mjs";

export const title = "operate: 16 clients add to one hot key, against a lease cycle each; loopback";

const clients = 16;
const plans = { whole: 1_200, quick: 300 };
/** What was found before any of this was written: 15 to 29 times. */
const ratioMin = 15;

/** The rows of one backend. */
export const rowsOf = ({ name, bare, operates, why = {} }) =>
  operates
    ? [
        {
          id: `${name}/operate`,
          label: bare ? name : `${name}, no way at all`,
          unit: "/s",
          ...(bare ? { target: { ratio: { atLeast: ratioMin } } } : {}),
          why: why.operate,
          async measure({ open, isQuick }) {
            const ms = isQuick ? plans.quick : plans.whole;
            const way = await open(undefined);
            const prefix = freshPrefix();
            const all = [];
            for (let i = 0; i < clients; i++) all.push(await way.locks(prefix));
            await Promise.all(all.map((locks) => locks.read("sum")));
            const ours = await adds(all, ms);
            const floor = await cycles(all, ms);
            return { ours, floor, ratio: ours / floor };
          },
        },
      ]
    : [];

async function adds(all, ms) {
  const add = { kind: "add", by: 1n, min: 0n };
  const rate = await atOnce(clients, ms, (i) => all[i].operate("sum", add, operationId()));
  await verify(all[0], "sum", rate.all);
  return rate.perSecond;
}

async function cycles(all, ms) {
  const rate = await atOnce(clients, ms, async (i) => {
    const lease = await all[i].acquire("leased", { ttlMs, waitMs });
    const sum = Number(lease.current ? Buffer.from(lease.current.value).toString() : 0) + 1;
    await all[i].commit([{ lease, value: Buffer.from(String(sum)) }], operationId());
    await lease.release();
  });
  await verify(all[0], "leased", rate.all);
  return rate.perSecond;
}
