import type { Strategy } from "../strategy.ts";
import { openStockNode } from "../trellis-stock.ts";

/** Rights to units are taken ahead, in chunks; selling one spends a right that is here, and waits for the disk. */
export const strategy: Strategy = {
  name: "trellis-escrow",
  title: "Trellis: a bounded counter, whose rights are taken ahead and spent locally",
  family: "trellis",
  durable: "the replica's own disk, synchronised for all that came together",
  volatile: "nothing but the replica that sold",
  workloads: ["stock"],
  isSwept: true,
  async open(context) {
    const { stock: _, sell, ...node } = await openStockNode(context);
    return { ...node, take: sell };
  },
};
