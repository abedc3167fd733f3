/** Does catching up cost what was written meanwhile, or what has changed? One replica is away while another writes. */
import { setImmediate as endOfTurn } from "node:timers/promises";
import { counter, openReplica } from "../../../index.ts";
import { Proxy } from "../../servers/proxy.ts";
import { seededRandom } from "../../replay/random.ts";
import type { ScalingResult } from "../results.ts";
import { slopeOf } from "./slope.ts";

const writesMissed = [1_000, 10_000, 100_000, 1_000_000];
const keysCount = 10_000;
const inTurn = 1_000;
const timeoutMs = 20_000;

/** Bytes and time, over writes that were missed. */
export async function partitionScaling(seed: number): Promise<readonly ScalingResult[]> {
  const measured = [];
  for (const writes of writesMissed) measured.push({ x: writes, ...(await missed(writes, seed)) });
  const method = `two replicas in one process, over loopback; one hangs up, the other increments ${keysCount} counters at random, then the link comes back`;
  const how = "one process";
  const ofBytes = measured.map(({ x, bytes }) => ({ x, y: bytes, how }));
  const ofTime = measured.map(({ x, ms }) => ({ x, y: ms, how }));
  const about = { name: "partition", strategy: "Trellis", xLabel: "writes missed", method };
  return [
    { ...about, yLabel: "bytes to catch up", points: ofBytes, slope: slopeOf(ofBytes) },
    { ...about, yLabel: "ms to catch up", points: ofTime, slope: slopeOf(ofTime) },
  ];
}

async function missed(
  writes: number,
  seed: number,
): Promise<{ readonly bytes: number; readonly ms: number }> {
  const schema = { likes: counter() };
  await using writer = await openReplica({ schema, name: "writer", listen: { port: 0 } });
  await using reader = await openReplica({ schema, name: "reader" });
  const { address } = writer;
  if (address === undefined) throw new Error("the replica is bound to no port");
  await using proxy = await Proxy.start(`ws://${address.host}:${address.port}`);
  const url = `ws://${proxy.address}`;
  const { likes } = writer.collections;
  for (let i = 0; i < keysCount; i++) likes.increment(`post:${i}`);
  reader.addPeer(url);
  await reader.waitFor(writer.version(), { timeoutMs });
  reader.removePeer(url);
  const random = seededRandom(seed);
  for (let i = 0; i < writes; i++) {
    likes.increment(`post:${Math.floor(random() * keysCount)}`);
    if (i % inTurn === 0) await endOfTurn();
  }
  const version = writer.version();
  proxy.forget();
  const startMs = performance.now();
  reader.addPeer(url);
  await reader.waitFor(version, { timeoutMs });
  return { bytes: proxy.traffic.replyBytes, ms: performance.now() - startMs };
}
