import { fencedRegister } from "../../../index.ts";
import { verbsOfSections } from "../sections.ts";
import type { Strategy } from "../strategy.ts";
import { inBulk, waitMs } from "../trellis-guarded.ts";
import { openTrellisNode } from "../trellis-node.ts";

/** A section for each operation: lease, in the order of coming, read, commit under its token, release. */
export const strategy: Strategy = {
  name: "trellis-fifo",
  title: "Trellis: a section under leases for each operation, first come first served",
  family: "trellis",
  durable: "the disk of the replica that hosts the locks, synchronised",
  volatile: "nothing but the replica that hosts the locks",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  async open(context) {
    // Locks in memory forget, which has to be accepted by name.
    const weakFence = context.directory === undefined;
    const schema = { values: fencedRegister<string>({ weakFence }) };
    const { replica, ...node } = await openTrellisNode(context, {
      schema,
      isGuarded: true,
    });
    const { values } = replica.collections;
    const verbs = verbsOfSections(
      async (keys, work) => {
        const handles = keys.map((key) => values.at(key));
        return await replica.escalate(
          handles,
          (section) => {
            const { result, writes = [] } = work(section.values);
            for (const [i, handle] of handles.entries()) {
              if (writes[i] !== undefined) section.set(handle, writes[i]);
            }
            return result;
          },
          { waitMs },
        );
      },
      (key) => values.get(key),
    );
    return {
      ...node,
      ...inBulk(
        async (key, units) => await values.update(key, () => String(units), { waitMs }),
        async (key) => await values.read(key),
      ),
      ...verbs,
    };
  },
};
