/**
 * Shards with one owner each: start this file several times; each process owns some of the shards, and the others take over
 * what it had when it is killed (after the time to live) or leaves (at once, and told where it was).
 *
 *   node examples/jobs/shard-owner.mjs --name one --redis redis://127.0.0.1:6379
 */
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { openLocks } from "trellis-state/locks";
import { backendOf } from "./backend.mjs";

const { values: flags } = parseArgs({
  options: {
    name: { type: "string", default: `process ${process.pid}` },
    shards: { type: "string", default: "4" },
    /** The most that one process takes. */
    most: { type: "string", default: "4" },
    redis: { type: "string" },
    etcd: { type: "string" },
  },
});

const locks = openLocks(await backendOf(flags));
const ending = new AbortController();
const { signal } = ending;
let owned = 0;

/** Resolves after a while, or when this process is to end. */
const pause = (ms) => setTimeout(ms, undefined, { signal }).catch(() => undefined);

/** Owns one shard whenever nobody else does. */
async function tend(shard) {
  while (!signal.aborted) {
    if (owned >= Number(flags.most)) {
      await pause(500);
      continue;
    }
    owned++;
    try {
      const mine = await locks.own(`shard-${shard}`, {
        owner: flags.name,
        waitMs: 1_000,
        ttlMs: 2_000,
        signal,
      });
      await work(shard, mine);
    } catch (error) {
      if (!signal.aborted && error.code !== "TRELLIS_LOCK_TIMEOUT")
        console.error(flags.name, error);
    } finally {
      owned--;
    }
    await pause(100);
  }
}

async function work(shard, mine) {
  let offset = mine.handedOver?.offset ?? 0;
  console.log(`${flags.name}: owns shard ${shard} under ${mine.token}, from ${offset}`);
  while (!mine.lost.aborted && !signal.aborted) {
    offset++;
    await pause(200);
  }
  if (mine.lost.aborted) {
    console.log(`${flags.name}: lost shard ${shard}`);
    await mine.release();
  } else {
    await mine.handOver({ offset });
    console.log(`${flags.name}: left shard ${shard} at ${offset}`);
  }
}

const shards = Array.from({ length: Number(flags.shards) }, (_, shard) => tend(shard));
for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => ending.abort());
await Promise.all(shards);
await locks[Symbol.asyncDispose]();
