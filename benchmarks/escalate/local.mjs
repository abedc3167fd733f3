/** What does a decrement by local rights cost, beside an increment that needs none? */
import { interleave, spend, summarise, turn } from "../crdt/measure.mjs";
import { openShop, untilRightsSuffice } from "./shop.mjs";

export const title =
  "tryDecrement with rights to hand, beside a free counter's increment; CPU time";

/** Operations in one turn of the event loop: less than a durable replica sets aside for the next moment. */
const inTurn = 500;
const plans = {
  whole: { rounds: 21, turns: 200, durableTurns: 60 },
  quick: { rounds: 9, turns: 60, durableTurns: 20 },
};
const ratioMax = 3;
const why =
  "it finds its account, checks the rights and counts; the record of rights and what peers are shown are paid once a turn";

/** What is in demand. */
const key = "sku";
/** So long the rights follow their use before anything is measured, in ms. */
const settleMs = 2_000;

/** All rows. */
export const rowsOf = () =>
  [false, true].flatMap((isDurable) =>
    ["key", "handle"].map((by) => ({
      id: `local/${isDurable ? "disk" : "memory"}-${by}`,
      label: `${isDurable ? "with a disk" : "memory only"}, by ${by}`,
      unit: "ns",
      needs: [],
      target: { ratio: { atMost: ratioMax } },
      why,
      measure: ({ isQuick }) => compare(isQuick ? plans.quick : plans.whole, isDurable, by),
    })),
  );

async function compare({ rounds, turns, durableTurns }, isDurable, by) {
  const shop = await openShop({ isDurable });
  try {
    const { free, stock } = shop;
    const [counter, left] = [free.at(key), stock.at(key)];
    // One function a way, so that each is compiled for what it meets.
    const add = {
      key: () => {
        for (let i = 0; i < inTurn; i++) free.increment(key);
        return 0;
      },
      handle: () => {
        for (let i = 0; i < inTurn; i++) counter.increment();
        return 0;
      },
    }[by];
    const take = {
      key: () => {
        let refused = 0;
        for (let i = 0; i < inTurn; i++) if (!stock.tryDecrement(key)) refused++;
        return refused;
      },
      handle: () => {
        let refused = 0;
        for (let i = 0; i < inTurn; i++) if (!left.tryDecrement()) refused++;
        return refused;
      },
    }[by];
    // With a disk both wait for it: what is set aside for the next turn is there then.
    const rest = isDurable ? () => left.decrement() : turn;
    const settledMs = performance.now() + settleMs;
    const oneTurn = (work) => async () => {
      const refused = work();
      await rest();
      await turn();
      return refused;
    };
    await untilRightsSuffice(async () => {
      const refused = await oneTurn(take)();
      return performance.now() < settledMs ? 1 : refused;
    });
    const contestant = (name, work) => ({
      name,
      async round() {
        let refused = 0;
        const count = isDurable ? durableTurns : turns;
        // What is set aside shrinks while the other one has its turn.
        await untilRightsSuffice(oneTurn(work));
        const { nsEach } = await spend(
          async () => {
            for (let i = 0; i < count; i++) {
              refused += work();
              await rest();
              await turn();
            }
            return count * inTurn - refused;
          },
          { collect: "nothing" },
        );
        if (refused > (count * inTurn) / 100) {
          throw new Error(`${refused} of ${count * inTurn} decrements found no rights`);
        }
        return nsEach;
      },
    });
    const { ours, floor, ratio, spread } = summarise(
      await interleave([contestant("floor", add), contestant("ours", take)], rounds),
    );
    return { ours, floor, ratio, spread };
  } finally {
    await shop.close();
  }
}
