import { counter, lwwRegister } from "../../../index.ts";
import type { Strategy } from "../strategy.ts";
import { openTrellisNode } from "../trellis-node.ts";

/**
 * What one must not do: look at what merges, and decide by it. Each replica decides rightly by what it has seen, and
 * all of them together sell the same unit. It is here to show what the ledger sees.
 */
export const strategy: Strategy = {
  name: "strawman-pn-counter",
  title: "a plain PN-counter or last-writer-wins register: look, then write",
  family: "replicated",
  volatile: "nothing: it is in memory when it is answered",
  workloads: ["stock", "coupons", "names", "transfers"],
  isStrawman: true,
  async open(context) {
    const schema = { units: counter(), owners: lwwRegister<string>() };
    const { replica, ...node } = await openTrellisNode(context, { schema });
    const { units: counters, owners } = replica.collections;
    const once = (key: string, by: string): boolean => {
      if (owners.get(key) !== undefined) return false;
      owners.set(key, by);
      return true;
    };
    return {
      ...node,
      take(key, units) {
        if (counters.value(key) < units) return false;
        counters.decrement(key, units);
        return true;
      },
      move(from, to, units) {
        if (counters.value(from) < units) return false;
        replica.transact(() => {
          counters.decrement(from, units);
          counters.increment(to, units);
        });
        return true;
      },
      redeem: once,
      claim: (name, owner) => owners.get(name) === owner || once(name, owner),
      async fill(keys, units) {
        for (const key of keys) counters.increment(key, units);
      },
      count: (keys) => keys.map((key) => counters.value(key)),
    };
  },
};
