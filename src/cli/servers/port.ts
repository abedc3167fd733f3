/**
 * Free ports for servers that cannot be asked to pick one, and that come back on the same one.
 *
 * They lie below the range from which the kernel takes the near ends of connections; there, one of a
 * client's could sit on a server's port while it is away. A port is ours while we listen on it at
 * another address of the loopback, which excludes other test processes at once.
 */
import { createServer, type Server } from "node:net";

const portMin = 20_000;
const portMax = 31_999;
const triesMax = 200;
const host = "127.0.0.1";
/** Where ports are reserved; servers never listen there. */
const reserveHost = "127.0.0.2";

/** A port of 127.0.0.1 that no other test process takes meanwhile. */
export interface Reservation {
  readonly port: number;
  release(): Promise<void>;
}

/** Reserves a port on which nothing listens. */
export async function reservePort(): Promise<Reservation> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = portMin + Math.floor(Math.random() * (portMax - portMin + 1));
    const reserved = await listen(reserveHost, port);
    if (reserved === undefined) continue;
    const probe = await listen(host, port);
    if (probe === undefined) {
      await close(reserved);
      continue;
    }
    await close(probe);
    return { port, release: async () => await close(reserved) };
  }
  throw new Error(`none of ${triesMax} ports from ${portMin} to ${portMax} was free`);
}

/** Reserves several. */
export async function reservePorts(count: number): Promise<readonly Reservation[]> {
  return await Promise.all(Array.from({ length: count }, reservePort));
}

async function listen(address: string, port: number): Promise<Server | undefined> {
  const server = createServer((socket) => socket.destroy()).unref();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(undefined));
    server.listen({ host: address, port, exclusive: true }, () => resolve(server));
  });
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
