/**
 * Does catching up cost what changed, or what exists? The same 1,000 counters change while two
 * replicas are apart, once in 10,000 keys and once in 1,000,000; sending and applying are counted
 * together. The floor grows too, by cache misses: its own growth stands beside ours.
 */
import { adapter } from "./contestants.mjs";
import { collectGarbage, interleave, spend, summarise, verify } from "./measure.mjs";
import { randomSequence } from "./workload.mjs";

export const title = "Catch-up, CPU time";

const changes = 1_000;
const transfers = 20;

/** @type {import("../report.mjs").RowPlan[]} */
export const rows = [
  {
    id: "catch-up-growth",
    label: "1,000 changes, in 1,000,000 keys against 10,000",
    unit: "x",
    target: { ours: { atMost: 1.5 } },
    sizes: [10_000, 1_000_000],
  },
];

/** Measures one row. */
export async function measure({ sizes }, { quick }) {
  const [small, large] = quick ? [sizes[0], sizes[1] / 5] : sizes;
  const opened = new Map();
  const contestant = (library, keyCount) => {
    const name = `${library} ${keyCount}`;
    return {
      name,
      async round() {
        if (!opened.has(name)) {
          const pair = await (await adapter(library)).openPair({ keyCount });
          opened.set(name, { pair, expected: keyCount, round: 0 });
        }
        return transfer(library, opened.get(name), keyCount);
      },
    };
  };
  const { costs, absent } = await interleave(
    ["floor", "ours"].flatMap((library) => [
      contestant(library, small),
      contestant(library, large),
    ]),
    5,
  );
  for (const { pair } of opened.values()) await pair.close?.();
  const growth = new Map();
  for (const library of ["floor", "ours"]) {
    const base = costs.get(`${library} ${small}`);
    const grown = costs.get(`${library} ${large}`);
    if (base && grown)
      growth.set(
        library,
        grown.map((cost, i) => cost / base[i]),
      );
  }
  return summarise({
    costs: growth,
    absent: new Map([...absent].map(([name, reason]) => [name.split(" ")[0], reason])),
  });
}

/** Several transfers of 1,000 changes each, in ns of CPU time a transfer; the changing is not counted. */
async function transfer(name, opened, keyCount) {
  await collectGarbage();
  let spentNs = 0;
  for (let i = 0; i < transfers; i++) {
    const indexes = new Set(randomSequence(changes * 2, keyCount, ++opened.round));
    const distinct = [...indexes].slice(0, changes);
    await opened.pair.change(distinct);
    const { cpuUs } = await spend(
      async () => {
        await opened.pair.transfer();
        return 1;
      },
      { collect: "nothing" },
    );
    spentNs += cpuUs * 1_000;
    opened.expected += changes;
  }
  verify(name, opened.pair.check(), opened.expected);
  return spentNs / transfers;
}
