/** A replica with a free counter and a bounded one, and rights to hand. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { built } from "../locks/build.mjs";

/** More than any row takes. */
export const stockUnits = 2 ** 50;
const rightsMsMax = 10_000;

/** Opens one, in memory or on the disk; `close` leaves nothing behind. */
export async function openShop({ isDurable = false } = {}) {
  const { openReplica, boundedCounter, counter } = await built("src/index");
  const { memoryLocks } = await built("src/escalate/locks/memory");
  const directory = isDurable ? await mkdtemp(join(tmpdir(), "trellis-bench-shop-")) : undefined;
  const replica = await openReplica({
    schema: {
      free: counter(),
      stock: boundedCounter({ min: 0, initial: stockUnits, weakFence: true }),
    },
    locks: memoryLocks(),
    ...(directory ? { storage: directory } : {}),
  });
  return {
    replica,
    ...replica.collections,
    async close() {
      await replica.close();
      if (directory) await rm(directory, { recursive: true });
    },
  };
}

/** Runs `turn`, which is told how many of its operations were refused, until none is for a while. */
export async function untilRightsSuffice(turn) {
  const endMs = performance.now() + rightsMsMax;
  for (let quiet = 0; quiet < 20;) {
    if (performance.now() > endMs) throw new Error("the rights do not catch up with their use");
    quiet = (await turn()) === 0 ? quiet + 1 : 0;
  }
}
