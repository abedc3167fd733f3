/**
 * The soak with a stalled peer, short and in one process, over real sockets: `npm run soak:stall` is
 * the long one. Nothing here depends on how fast the machine is; every wait has a deadline.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { openReplica, type PeerStatus, type Replica } from "../../src/index.ts";
import { defaultFrameLimits } from "../../src/store/frame.ts";
import { bufferedBytesMax, bytesOnTheWayMax, framesOnTheWayMax } from "../../src/sync/flow.ts";
import { Gate } from "./gate.ts";
import { contentDigest, Load, schema, sortedVersion } from "./load.ts";

type LoadReplica = Replica<typeof schema>;

/** What the process may grow by while the peer stalls: all three replicas, in bytes. */
const growthBytesMax = 2 * 2 ** 20;
/** Batches that the stalled peer must miss: a queue of them would be twice what the kernel buffers. */
const missedBatches = 600;
const waitMsMax = 30_000;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

function memory(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Writes turn by turn until `isMet`. */
async function loadUntil(load: Load, isMet: () => boolean): Promise<void> {
  const endMs = Date.now() + waitMsMax;
  while (!isMet()) {
    if (Date.now() > endMs) throw new Error(`waited ${waitMsMax} ms in vain`);
    load.turn();
    await turn();
  }
}

function viewOf(replica: LoadReplica, name: string): PeerStatus {
  const view = replica.status().peers.find((peer) => peer.name === name);
  if (view === undefined) throw new Error(`no link to ${name}`);
  return view;
}

test("a peer that reads nothing under full load costs a cursor, and converges when it reads again", async () => {
  await using writer = await openReplica({ schema, name: "writer", listen: { port: 0 } });
  const url = `ws://127.0.0.1:${writer.address?.port ?? 0}`;
  await using gate = await Gate.before(url);
  await using healthy = await openReplica({ schema, name: "healthy", peers: [url] });
  await using stalled = await openReplica({ schema, name: "stalled", peers: [gate.url] });
  const load = new Load(writer.collections);
  load.fill();
  for (const peer of [healthy, stalled]) {
    await peer.waitFor(writer.version(), { timeoutMs: waitMsMax });
  }
  await loadUntil(load, () => load.operations >= 30_000);

  const before = memory();
  const atFirst = viewOf(writer, "stalled");
  const sentBefore = viewOf(writer, "healthy").bytesOut;
  gate.shut();
  await loadUntil(load, () => viewOf(writer, "stalled").lagBatches >= missedBatches);
  const atLast = viewOf(writer, "stalled");
  // What is on its way to the other one, on a busy machine, is no queue of the stalled.
  await healthy.waitFor(writer.version(), { timeoutMs: waitMsMax });
  // A queue would not go away, other garbage does.
  await expect.poll(() => memory() - before, { timeout: 10_000 }).toBeLessThan(growthBytesMax);
  // Twice: acknowledgements that had passed the gate let as many frames go as were on the way.
  expect(atLast.framesOut - atFirst.framesOut).toBeLessThanOrEqual(2 * framesOnTheWayMax);
  expect(atLast.bytesOut - atFirst.bytesOut).toBeLessThanOrEqual(
    2 * bytesOnTheWayMax + bufferedBytesMax + defaultFrameLimits.bytes,
  );
  // A queue of what the stalled peer did not get would be seen.
  expect(viewOf(writer, "healthy").bytesOut - sentBefore).toBeGreaterThan(2 * growthBytesMax);

  gate.open();
  const last = writer.version();
  for (const peer of [healthy, stalled]) {
    await peer.waitFor(last, { timeoutMs: waitMsMax });
    expect(sortedVersion(peer.version())).toBe(sortedVersion(last));
    expect(contentDigest(peer.collections)).toBe(contentDigest(writer.collections));
  }
}, 90_000);
