/** No server, no way to it, nothing kept: what our own code costs. */
import { built } from "../build.mjs";

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = {
  name: "memory",
  async start() {
    const { memoryLockStore } = await built("src/escalate/locks/memory");
    // Its address is itself.
    return { addresses: [memoryLockStore()], stop: async () => undefined };
  },
  async connect([store], { prefix }) {
    const { memoryLocks } = await built("src/escalate/locks/memory");
    return memoryLocks({ store, prefix });
  },
  describe: async () => "in this process, nothing is kept",
  tripsMax: { cycle: 3, compareAndSet: 1, handOver: 2 },
  operates: true,
};
