import { openGuardedNode } from "../trellis-guarded.ts";
import type { Strategy } from "../strategy.ts";

/** The same calls as `trellis-combined`, for whoever has etcd already. */
export const strategy: Strategy = {
  name: "trellis-combined-etcd",
  title: "Trellis over etcd: fenced registers and claims, calls of one process combined",
  family: "trellis",
  service: "etcd",
  durable: "the disks of most members of etcd",
  volatile: "the memory of most members of etcd",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  async open(context) {
    const { etcdLocks } = await import("../../../escalate/locks/etcd.ts");
    const { servers } = context;
    return await openGuardedNode(context, etcdLocks({ hosts: servers, prefix: context.space }));
  },
};
