/** A cluster of three nodes on one machine and one disk. */
import { etcdBackend } from "./etcd.mjs";

/** @type {import("../backends.mjs").BackendPlan} */
export const backend = etcdBackend("etcd-3", 3);
