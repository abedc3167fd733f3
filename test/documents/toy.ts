/** A protocol for tests, at a door of its own: says back what it hears, and keeps what happened. */
import type { Duplex } from "node:stream";
import { WebSocket } from "ws";
import { covers, grantOf } from "../../src/access.ts";
import type { Client, ClientProtocol, ClientReceiver } from "../../src/documents/client.ts";
import { type ClientLimits, defaultClientLimits } from "../../src/documents/client-limits.ts";
import { ClientSockets } from "../../src/documents/client-sockets.ts";
import type { Door, DoorOptions } from "../../src/door.ts";
import { openDoor } from "../../src/door/http-door.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { silentLogger, type FigureSink, type Telemetry } from "../../src/telemetry.ts";

/** What a client of the toy did. */
export class Visit implements ClientReceiver {
  readonly client: Client;
  readonly path: string;
  readonly heard: Uint8Array[] = [];
  drains = 0;
  ends = 0;

  constructor(client: Client, path: string) {
    this.client = client;
    this.path = path;
  }

  message(bytes: Uint8Array): void {
    if (this.ends > 0) throw new Error("a message after the end");
    if (bytes[0] === 0xff) throw new Error("the toy cannot do that");
    this.heard.push(bytes);
    this.client.send(bytes);
  }
  drained(): void {
    this.drains++;
  }
  closed(): void {
    this.ends++;
  }
}

export class Toy implements ClientProtocol {
  readonly segment: string;
  readonly messageBytesMax = 1024 * 1024;
  readonly visits: Visit[] = [];
  isClosed = false;

  constructor(segment = "toy") {
    this.segment = segment;
  }

  judge(path: string, grant: Client["grant"]): "admitted" | "forbidden" | "not-found" {
    if (path === "") return "not-found";
    return covers(grant.read, "toys", path) ? "admitted" : "forbidden";
  }
  accept(client: Client, path: string): ClientReceiver {
    const visit = new Visit(client, path);
    this.visits.push(visit);
    return visit;
  }
  close(): void {
    this.isClosed = true;
  }
}

/** Counts by name and labels, and whatever is collected. */
export class Counts implements Telemetry {
  readonly #counts = new Map<string, number>();
  readonly #reads = new Set<(sink: FigureSink) => void>();

  count(name: string, value = 1, labels: Readonly<Record<string, string>> = {}): void {
    const key = [name, ...Object.values(labels)].join(" ");
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + value);
  }
  gauge(): void {}
  observe(): void {}
  collect(read: (sink: FigureSink) => void): () => void {
    this.#reads.add(read);
    return () => void this.#reads.delete(read);
  }
  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
  read(): Readonly<Record<string, number>> {
    const figures: Record<string, number> = {};
    const show: FigureSink["gauge"] = (name, value) => void (figures[name] = value);
    for (const read of this.#reads) read({ total: show, gauge: show });
    return figures;
  }
}

export interface ToyDoor {
  readonly door: Door;
  readonly toy: Toy;
  readonly sockets: ClientSockets;
  readonly counts: Counts;
  readonly url: string;
  /** Links that were let in. */
  readonly links: { readonly count: number };
  close(): Promise<void>;
}

export interface ToyDoorOptions extends Omit<DoorOptions, "port"> {
  readonly limits?: Partial<ClientLimits>;
  /** Links and HTTP at a time. */
  readonly othersMax?: number;
}

export async function toyDoor({
  limits,
  othersMax = 8,
  ...options
}: ToyDoorOptions = {}): Promise<ToyDoor> {
  const counts = new Counts();
  const inside = new Set<Duplex>();
  const links = {
    get count() {
      return inside.size;
    },
  };
  const ambient = { environment: systemEnvironment, telemetry: counts, logger: silentLogger };
  const door = await openDoor({
    ...{ port: 0, ...options, ...ambient },
    ...{ connectionsMax: othersMax, handshakeMsMax: 5_000 },
    onUpgrade: (_request, socket) => {
      inside.add(socket.resume());
      socket.once("close", () => inside.delete(socket));
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n");
    },
    upgradesLeft: () => othersMax - links.count,
  });
  const toy = new Toy();
  const sockets = new ClientSockets(toy, {
    ...ambient,
    limits: { ...defaultClientLimits, ...limits },
  });
  door.route(sockets.route);
  const close = async (): Promise<void> => {
    await sockets.close();
    for (const socket of inside) socket.destroy();
    await door.close();
  };
  return { door, toy, sockets, counts, links, close, url: `ws://127.0.0.1:${door.address.port}` };
}

/** Gets in, or the status that it was refused with. */
export function dial(
  url: string,
  options: { readonly token?: string; readonly origin?: string; readonly headers?: object } = {},
): Promise<WebSocket | number> {
  const { token, origin, headers } = options;
  const socket = new WebSocket(url, {
    ...(origin === undefined ? {} : { origin }),
    headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
  });
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve(socket));
    socket.on("unexpected-response", (request, response) => {
      request.destroy();
      resolve(response.statusCode ?? 0);
    });
    socket.on("error", reject);
  });
}

/** Gets in. */
export async function enter(...asked: Parameters<typeof dial>): Promise<WebSocket> {
  const socket = await dial(...asked);
  if (typeof socket === "number") throw new Error(`refused with ${socket}`);
  return socket;
}

/** The code that a socket was closed with. */
export const codeOf = (socket: WebSocket): Promise<number> =>
  new Promise((resolve) => socket.once("close", resolve));

/** Knows `all`, and `mine`, which may only read what begins with `mine/`. */
export const authenticate = ({ token }: { readonly token?: string }) => {
  if (token === "all") return true;
  return token === "mine" && grantOf({ subject: "mine" }, ["read:toys/mine/"]);
};

export async function until(isMet: () => boolean): Promise<void> {
  const endMs = Date.now() + 15_000;
  while (!isMet()) {
    if (Date.now() > endMs) throw new Error("waited 15 s in vain");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
