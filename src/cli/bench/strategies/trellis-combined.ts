import { openGuardedNode } from "../trellis-guarded.ts";
import type { Strategy } from "../strategy.ts";

/** What everybody uses: `update`, which combines the calls of a process into one conditional write. */
export const strategy: Strategy = {
  name: "trellis-combined",
  title: "Trellis: fenced registers and claims, calls of one process combined",
  family: "trellis",
  durable: "the disk of the replica that hosts the locks, synchronised",
  volatile: "nothing but the replica that hosts the locks",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  open: openGuardedNode,
};
