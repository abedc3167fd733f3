/** What does a stamp of the hybrid logical clock cost beside a bare `Date.now()`? */
import { adapter } from "./contestants.mjs";
import { interleave, spend, summarise } from "./measure.mjs";

export const title = "Hybrid logical clock, CPU time each";

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "clock-now",
    label: "now()",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    call: "now",
    why: "one comparison and one store beside the wall clock",
  },
  {
    id: "clock-receive",
    label: "receive(stamp), stamps ahead of the clock",
    unit: "ns",
    target: { ratio: { atMost: 1.5 } },
    why: "each stamp ahead of us is compared with the wall clock and the bound",
    call: "receive",
  },
];

/** Measures one row. */
export async function measure({ call }, { quick }) {
  const count = quick ? 1_000_000 : 2_000_000;
  const contestant = (name) => ({
    name,
    async round() {
      let kept;
      const clock = name === "floor" ? { run: readClock } : await openOurs(call);
      const { nsEach } = await spend(() => {
        kept = clock.run(count);
        return count;
      });
      if (!(kept > 0)) throw new Error(`${name} gave no stamps`);
      return nsEach;
    },
  });
  return summarise(await interleave([contestant("floor"), contestant("ours")], 7));
}

const openOurs = async (call) => (await adapter("ours")).openClock(call);

function readClock(count) {
  let last = 0;
  for (let i = 0; i < count; i++) last = Date.now();
  return last;
}
