import { counter, lwwRegister } from "../../../index.ts";
import type { Strategy } from "../strategy.ts";
import { openTrellisNode } from "../trellis-node.ts";

/** What merges needs no coordination: a call and no await. */
export const strategy: Strategy = {
  name: "trellis-local",
  title: "Trellis: a local write, merged later",
  family: "trellis",
  volatile: "nothing: it is in memory when it is answered",
  workloads: ["likes", "register"],
  isSwept: true,
  async open(context) {
    const schema = { likes: counter(), profiles: lwwRegister<string>() };
    const { replica, ...node } = await openTrellisNode(context, { schema });
    const { likes, profiles } = replica.collections;
    return {
      ...node,
      add: (key, amount) => likes.increment(key, amount),
      get: (key) => profiles.get(key),
      set: (key, value) => profiles.set(key, value),
      count: (keys) => keys.map((key) => likes.value(key)),
    };
  },
};
