import { boundedCounter, InsufficientError, RightsUnavailableError } from "../../../index.ts";
import type { Strategy } from "../strategy.ts";
import { openTrellisNode } from "../trellis-node.ts";

const waitMs = 2_000;

/** Rights to units are taken ahead, in chunks; selling one spends a right that is here. */
export const strategy: Strategy = {
  name: "trellis-escrow",
  title: "Trellis: a bounded counter, whose rights are taken ahead and spent locally",
  family: "trellis",
  durable: "the replica's own disk, synchronised for all that came together",
  volatile: "nothing but the replica that sold",
  workloads: ["stock"],
  isSwept: true,
  async open(context) {
    // Locks in memory forget, which has to be accepted by name.
    const weakFence = context.directory === undefined;
    const schema = { stock: boundedCounter({ min: 0, weakFence }) };
    const { replica, ...node } = await openTrellisNode(context, { schema, fsync: "always" });
    const { stock } = replica.collections;
    return {
      ...node,
      async take(key, units) {
        try {
          await stock.decrement(key, units, { waitMs });
          return true;
        } catch (error) {
          if (error instanceof InsufficientError || error instanceof RightsUnavailableError) {
            return false;
          }
          throw error;
        }
      },
      async fill(keys, units) {
        for (const key of keys) stock.increment(key, units);
        await replica.acknowledged(replica.version(), { by: "all" });
      },
      count: (keys) => keys.map((key) => stock.value(key)),
    };
  },
};
