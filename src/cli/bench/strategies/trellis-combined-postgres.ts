import { openGuardedNode } from "../trellis-guarded.ts";
import type { Strategy } from "../strategy.ts";

/** The same calls as `trellis-combined`, for whoever has PostgreSQL already. */
export const strategy: Strategy = {
  name: "trellis-combined-postgres",
  title: "Trellis over PostgreSQL: fenced registers and claims, calls of one process combined",
  family: "trellis",
  service: "postgres",
  durable: "PostgreSQL's write-ahead log, synchronised at each commit",
  volatile: "PostgreSQL's memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open(context) {
    const { postgresLocks } = await import("../../../escalate/locks/postgres.ts");
    const { servers } = context;
    return await openGuardedNode(
      context,
      postgresLocks({ url: servers[0] ?? "", prefix: context.space }),
    );
  },
};
