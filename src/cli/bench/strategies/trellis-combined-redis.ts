import { openGuardedNode } from "../trellis-guarded.ts";
import type { Strategy } from "../strategy.ts";

/** The same calls as `trellis-combined`, for whoever has Redis already. */
export const strategy: Strategy = {
  name: "trellis-combined-redis",
  title: "Trellis over Redis: fenced registers and claims, calls of one process combined",
  family: "trellis",
  service: "redis",
  durable: "Redis' append-only file, synchronised at each write",
  volatile: "Redis' memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open(context) {
    const { redisLocks } = await import("../../../escalate/locks/redis.ts");
    const { servers } = context;
    return await openGuardedNode(
      context,
      redisLocks({ url: servers[0] ?? "", prefix: context.space }),
    );
  },
};
