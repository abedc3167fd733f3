/** What a replica needs of others: a port of its own, and a lock store. */
import { createServer } from "node:net";
import { systemEnvironment } from "../../environment.ts";
import { PeerWitness } from "../../sync/peer-witness.ts";
import { webSocketTransport } from "../../sync/transport/websocket.ts";
import { locksOfUrl } from "../locks-url.ts";
import { quoted } from "../table.ts";
import { failed, type Finding, ok, reasonOf, warning } from "./finding.ts";

const readMsMax = 5_000;
const reads = 3;

/** Whether the port can be listened at, and who does if not. */
export async function checkPort(port: number, host: string): Promise<Finding> {
  const check = `port ${host}:${port}`;
  const error = await new Promise<unknown>((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
  if (error === undefined) return ok(check, "it is free");
  const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
  if (!isTaken)
    return failed(check, reasonOf(error), "listen at an address of this machine, and above 1023");
  const inUrl = host.includes(":") ? `[${host}]` : host;
  const who = await nameAt(`ws://${inUrl}:${port}`);
  return failed(check, `it is taken: ${who} answers there`, "stop that, or listen at another port");
}

async function nameAt(url: string): Promise<string> {
  try {
    const peer = await PeerWitness.open({
      target: { url },
      transport: webSocketTransport(systemEnvironment, { handshakeMsMax: 2_000 }),
      environment: systemEnvironment,
    });
    const { name } = peer.hello;
    await peer.close();
    return `the replica ${quoted(name, 40)}`;
  } catch (error) {
    return `somebody (${reasonOf(error)})`;
  }
}

/** Whether the lock store answers, how fast, and what it promises. Nothing is written there. */
export async function checkLocks(url: string): Promise<Finding[]> {
  const shownUrl = url.replace(/\/\/[^@/]*@/u, "//…@");
  const check = `locks ${shownUrl}`;
  const remedy = "is the store running, does the URL name it, do its settings fit? docs/locks.md";
  try {
    await using backend = await locksOfUrl(url);
    const took: number[] = [];
    for (let i = 0; i < reads; i++) {
      const beganMs = performance.now();
      await backend.read("doctor/nothing", { signal: AbortSignal.timeout(readMsMax) });
      took.push(performance.now() - beganMs);
    }
    const { fencing, faultTolerant, atomicCommits } = backend.guarantees;
    const fastest = Math.min(...took).toFixed(1);
    const says =
      `${backend.name} answers in ${fastest} ms; fencing is ${fencing}, ` +
      `${faultTolerant ? "it survives the loss of a node" : "it is one node"}, ` +
      (atomicCommits ? "several values are one commit" : "several values are not one commit");
    if (fencing === "durable") return [ok(check, says)];
    const fence = "collections with rules that must always hold need weakFence, and may break them";
    return [warning(check, `${says}: ${fence}`, "use a store whose fences survive its restart")];
  } catch (error) {
    return [failed(check, reasonOf(error), remedy)];
  }
}
