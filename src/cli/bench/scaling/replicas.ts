/**
 * What does one more replica cost? All of them are linked to each other and write at the same rate. Over real sockets
 * in processes of their own it is the nodes' axis of the cells; here they are in one process, over a network in
 * memory, since a machine with two processors has no room for 32.
 */
import { setImmediate as endOfTurn } from "node:timers/promises";
import { counter, openReplica, systemEnvironment } from "../../../index.ts";
import { MemoryNetwork } from "../../../sync/transport/memory.ts";
import { seededRandom } from "../../replay/random.ts";
import type { ScalingResult } from "../results.ts";
import { slopeOf } from "./slope.ts";

const counts = [2, 4, 8, 16, 32];
const keysCount = 1_000;
const turns = 16;
/** Of one replica. */
const operationsInTurn = 25;
const timeoutMs = 20_000;

/** Processor time and bytes, over replicas. */
export async function replicasScaling(seed: number): Promise<readonly ScalingResult[]> {
  const measured = [];
  for (const count of counts) measured.push({ x: count, ...(await together(count, seed)) });
  const how = "one process, a network in memory";
  const method = `all replicas linked to each other; each increments ${keysCount} counters at random, ${operationsInTurn} in each of ${turns} turns; until all agree`;
  const ofCpu = measured.map(({ x, cpuUs }) => ({ x, y: cpuUs, how }));
  const ofBytes = measured.map(({ x, bytes }) => ({ x, y: bytes, how }));
  const about = { name: "replicas", strategy: "Trellis", xLabel: "replicas", method };
  return [
    {
      ...about,
      yLabel: "CPU µs an increment and replica",
      points: ofCpu,
      slope: slopeOf(ofCpu),
    },
    {
      ...about,
      yLabel: "bytes an increment and link",
      points: ofBytes,
      slope: slopeOf(ofBytes),
    },
  ];
}

async function together(
  count: number,
  seed: number,
): Promise<{ readonly cpuUs: number; readonly bytes: number }> {
  const network = new MemoryNetwork(systemEnvironment);
  network.faults = { ...network.faults, delayMsMin: 0, delayMsMax: 0 };
  const replicas = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      openReplica({
        schema: { likes: counter() },
        name: `r${i}`,
        listen: { port: 0, host: `r${i}` },
        peers: Array.from({ length: i }, (__, other) => `mem://r${other}`),
        environment: {
          ...systemEnvironment,
          network: network.transport(`r${i}`, systemEnvironment),
        },
      }),
    ),
  );
  try {
    const settle = async (): Promise<void> => {
      const versions = replicas.map((replica) => replica.version());
      await Promise.all(
        replicas.flatMap((replica) =>
          versions.map((version) => replica.waitFor(version, { timeoutMs })),
        ),
      );
    };
    const random = seededRandom(seed);
    const write = async (turnsOf: number): Promise<void> => {
      for (let turn = 0; turn < turnsOf; turn++) {
        for (const { collections } of replicas) {
          for (let i = 0; i < operationsInTurn; i++) {
            collections.likes.increment(`post:${Math.floor(random() * keysCount)}`);
          }
        }
        await endOfTurn();
      }
      await settle();
    };
    await write(turns / 2);
    const bytesBefore = network.bytes;
    const cpuBefore = process.cpuUsage();
    await write(turns);
    const { user, system } = process.cpuUsage(cpuBefore);
    const operations = turns * operationsInTurn * count;
    return {
      cpuUs: (user + system) / operations / count,
      bytes: (network.bytes - bytesBefore) / operations / (count - 1),
    };
  } finally {
    await Promise.all(replicas.map((replica) => replica.close()));
  }
}
