import { counter, lwwRegister } from "../../../index.ts";
import type { Strategy } from "../strategy.ts";
import { openTrellisNode } from "../trellis-node.ts";

const timeoutMs = 5_000;

/** For what must survive the loss of a node: the same local write, answered once most nodes have it. */
export const strategy: Strategy = {
  name: "trellis-majority",
  title: "Trellis: a local write, acknowledged by a majority of the replicas",
  family: "trellis",
  volatile: "the memory of a majority of the nodes",
  durable: "the disks of a majority of the nodes",
  workloads: ["likes", "register"],
  async open(context) {
    const schema = { likes: counter(), profiles: lwwRegister<string>() };
    const { replica, ...node } = await openTrellisNode(context, { schema });
    const { likes, profiles } = replica.collections;
    const acknowledged = async (): Promise<void> =>
      await replica.acknowledged(replica.version(), { by: "majority", timeoutMs });
    return {
      ...node,
      async add(key, amount) {
        likes.increment(key, amount);
        await acknowledged();
      },
      get: (key) => profiles.get(key),
      async set(key, value) {
        profiles.set(key, value);
        await acknowledged();
      },
      count: (keys) => keys.map((key) => likes.value(key)),
    };
  },
};
