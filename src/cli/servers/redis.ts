import { exchange } from "./exchange.ts";
import { reservePort } from "./port.ts";
import { Cluster, type Launch, makeDirectory, Server } from "./server.ts";

/** One Redis that keeps what it acknowledged: each write is synchronised, nothing is evicted. */
export async function startRedis(): Promise<Server> {
  return await Server.start(await redis());
}

/** Masters that know nothing of each other, as Redlock wants them. */
export async function startRedisMasters(count = 3): Promise<Cluster> {
  return await Cluster.start(await Promise.all(Array.from({ length: count }, redis)));
}

async function redis(): Promise<Launch> {
  const reservation = await reservePort();
  const { port } = reservation;
  const directory = await makeDirectory("redis");
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: directory,
    save: "",
    appendonly: "yes",
    appendfsync: "always",
    "maxmemory-policy": "noeviction",
    daemonize: "no",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return {
    kind: "redis",
    port,
    url: `redis://127.0.0.1:${port}`,
    directory,
    command: ["redis-server", ...args],
    stopSignal: "SIGTERM",
    reservations: [reservation],
    isReady: async (signal) => {
      const reply = await exchange(port, "PING\r\n", (bytes) => bytes.includes("\n"), signal);
      return reply.toString() === "+PONG\r\n";
    },
  };
}
