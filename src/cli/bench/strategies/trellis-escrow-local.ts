import type { Strategy } from "../strategy.ts";
import { openStockNode } from "../trellis-stock.ts";

/** The same for what need not be on a disk when it is answered: a call and no await, as long as there are rights. */
export const strategy: Strategy = {
  name: "trellis-escrow-local",
  title: "Trellis: a bounded counter, with tryDecrement where there are rights",
  family: "trellis",
  volatile: "nothing: it is in memory when it is answered",
  workloads: ["stock"],
  async open(context) {
    const { stock, sell, ...node } = await openStockNode(context);
    return {
      ...node,
      take: (key, units) => stock.tryDecrement(key, units) || sell(key, units),
    };
  },
};
