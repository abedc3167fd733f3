/** A node that sells from bounded counters: awaited sales, which are as durable as the replica. */
import {
  boundedCounter,
  type BoundedCounterCollection,
  InsufficientError,
  RightsUnavailableError,
} from "../../index.ts";
import type { Client, NodeContext } from "./strategy.ts";
import { openTrellisNode } from "./trellis-node.ts";

/** For units that others hold, in ms. */
const waitMs = 2_000;

/** What selling needs. */
export type StockNode = Client & {
  readonly stock: BoundedCounterCollection<undefined>;
  /** Takes units, waiting for rights and for the disk. False: they are not to be had. */
  readonly sell: (key: string, units: number) => Promise<boolean>;
};

/** Opens one. */
export async function openStockNode(context: NodeContext): Promise<StockNode> {
  // Locks in memory forget, which has to be accepted by name.
  const weakFence = context.directory === undefined;
  const schema = { stock: boundedCounter({ min: 0, weakFence }) };
  const { replica, ...node } = await openTrellisNode(context, {
    schema,
    isGuarded: true,
  });
  const { stock } = replica.collections;
  return {
    ...node,
    stock,
    async sell(key, units) {
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
}
