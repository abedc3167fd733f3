import type { Strategy } from "../strategy.ts";
import { openRedlock } from "./redlock-npm.ts";

/** Locks that a majority of masters grants. */
export const strategy: Strategy = {
  name: "redlock",
  title: "Redlock: a lock of npm's redlock on three masters; read and write on the first, release",
  family: "lock",
  service: "redlock",
  durable: "the first master's append-only file, synchronised at each write",
  volatile: "the first master's memory",
  workloads: ["likes", "stock", "coupons", "names", "register", "transfers"],
  isSwept: true,
  open: async ({ servers }) => await openRedlock(servers),
};
