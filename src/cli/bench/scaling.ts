/** How costs grow: with replicas, with keys, with the length of a partition. */
import type { ScalingResult } from "./results.ts";
import { keysScaling } from "./scaling/keys.ts";
import { partitionScaling } from "./scaling/partition.ts";
import { replicasScaling } from "./scaling/replicas.ts";

/** The questions, by name. */
export const scalingQuestions: Readonly<
  Record<string, (seed: number) => Promise<readonly ScalingResult[]>>
> = { replicas: replicasScaling, keys: keysScaling, partition: partitionScaling };
