import { exchange } from "./exchange.ts";
import { reservePort } from "./port.ts";
import { Cluster, type Launch, makeDirectory, Server } from "./server.ts";
import type { StartOptions } from "./start-options.ts";

/** One Redis, which evicts nothing; if durable, each write is synchronised, otherwise all is in memory. */
export async function startRedis({ isDurable = true }: StartOptions = {}): Promise<Server> {
  return await Server.start(await redis(isDurable));
}

/** Masters that know nothing of each other, as Redlock wants them. */
export async function startRedisMasters(
  count = 3,
  { isDurable = true }: StartOptions = {},
): Promise<Cluster> {
  const launches = Array.from({ length: count }, async () => await redis(isDurable));
  return await Cluster.start(await Promise.all(launches));
}

/** How a Redis is set up. */
export function describeRedis(isDurable: boolean): string {
  const { appendonly, appendfsync } = durability(isDurable);
  return `Redis, appendonly ${appendonly}, appendfsync ${appendfsync}`;
}

const durability = (isDurable: boolean) =>
  isDurable
    ? { appendonly: "yes", appendfsync: "always" }
    : { appendonly: "no", appendfsync: "no" };

async function redis(isDurable: boolean): Promise<Launch> {
  const reservation = await reservePort();
  const { port } = reservation;
  const directory = await makeDirectory("redis");
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: directory,
    save: "",
    ...durability(isDurable),
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
