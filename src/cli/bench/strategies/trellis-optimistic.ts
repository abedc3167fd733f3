import { randomUUID } from "node:crypto";
import { ConflictError, type Guarded } from "../../../index.ts";
import { verbsOfSections, type Work } from "../sections.ts";
import type { Strategy } from "../strategy.ts";
import { inBulk, waitMs } from "../trellis-guarded.ts";
import { openTrellisNode } from "../trellis-node.ts";

/** Over the bare backend: read, decide, compare and set; whoever is refused goes on from what is there. */
export const strategy: Strategy = {
  name: "trellis-optimistic",
  title: "Trellis: compare-and-set on the bare lock backend, one call a write",
  family: "trellis",
  durable: "the disk of the replica that hosts the locks, synchronised",
  volatile: "nothing but the replica that hosts the locks",
  workloads: ["likes", "stock", "coupons", "names", "register"],
  async open(context) {
    const {
      replica: _,
      locks,
      ...node
    } = await openTrellisNode(context, {
      schema: {},
      isGuarded: true,
    });

    async function exclusively<T>([key = ""]: readonly string[], work: Work<T>): Promise<T> {
      const endMs = performance.now() + waitMs;
      let current = await locks.read(key);
      for (;;) {
        const { result, writes } = work([textOf(current)]);
        const text = writes?.[0];
        if (text === undefined) return result;
        try {
          await locks.compareAndSet(key, current?.version, Buffer.from(text), randomUUID());
          return result;
        } catch (error) {
          if (!(error instanceof ConflictError) || performance.now() > endMs) throw error;
          current = error.current ?? (await locks.read(key));
        }
      }
    }

    const read = async (key: string): Promise<string | undefined> => textOf(await locks.read(key));
    const { move: _needsTwoKeys, ...verbs } = verbsOfSections(exclusively, read);
    return {
      ...node,
      ...inBulk(
        async (key, units) => await exclusively([key], () => ({ result: 0, writes: [`${units}`] })),
        read,
      ),
      ...verbs,
    };
  },
};

const textOf = (guarded: Guarded | undefined): string | undefined =>
  guarded === undefined || guarded.version === 0n
    ? undefined
    : Buffer.from(guarded.value).toString();
