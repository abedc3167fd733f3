/**
 * A TCP proxy that is a bad network: it delays, throttles, loses, holds and cuts, and counts.
 *
 * What is lost is lost for good. TCP shows no reader a gap, so a direction of a connection that has
 * lost a byte carries nothing more, also after the network is well again: it is silent until it is
 * cut, and only new connections work. Otherwise a client would take a later reply for the lost one,
 * which no network does to it.
 *
 * A connection is always accepted, as by the kernel of a server that hangs.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { Pipe, reset, type Weather } from "./pipe.ts";

/** How a connection is cut: `reset` discards what is under way, `end` tells both sides that no more will come. */
export type Cut = "reset" | "end";

/** What a proxy may know of the protocol. */
export interface ProxyOptions {
  /** True of bytes that only keep a connection or session alive: they are no question, and are not counted as a round trip. */
  readonly isUpkeep?: (requests: Buffer) => boolean;
}

/** What one connection carried so far. */
export interface Traffic {
  /** Bursts of requests that were followed by a burst of replies. What a server sends unasked counts as bytes only. */
  readonly roundTrips: number;
  /** Bytes that came from the client, lost ones too. */
  readonly requestBytes: number;
  /** Bytes that came from the server, lost ones too. */
  readonly replyBytes: number;
  /** Of `requestBytes`. */
  readonly requestBytesLost: number;
  /** Of `replyBytes`: the server has done it, the client will never hear. */
  readonly replyBytesLost: number;
}

/** Stands between clients and one server. Change `requests` and `replies` at any time; all connections feel it at once. */
export class Proxy implements AsyncDisposable {
  readonly port: number;
  /** Host and port. */
  readonly address: string;
  /** From clients to the server. */
  readonly requests: Weather = fair();
  /** From the server to clients. */
  readonly replies: Weather = fair();
  readonly #server: Server;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #isUpkeep: (requests: Buffer) => boolean;
  readonly #open = new Set<Connection>();
  #all: Connection[] = [];

  private constructor(server: Server, target: string, { isUpkeep = () => false }: ProxyOptions) {
    this.#isUpkeep = isUpkeep;
    const { hostname, port } = new URL(target.includes("://") ? target : `tcp://${target}`);
    this.#target = { host: hostname, port: Number(port) };
    this.#server = server.on("connection", (socket) => this.#accept(socket));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port was given");
    this.port = address.port;
    this.address = `127.0.0.1:${address.port}`;
  }

  /** Listens on a free port of 127.0.0.1, before `target`, which is a URL or a host and a port. */
  static async start(target: string, options: ProxyOptions = {}): Promise<Proxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen({ host: "127.0.0.1", port: 0 }, resolve);
    });
    // As a server that a test starts, it keeps no process alive.
    server.unref();
    return new Proxy(server, target, options);
  }

  /** `url`, with this proxy in place of its host and port. */
  through(url: string): string {
    return url.includes("://") ? url.replace(new URL(url).host, this.address) : this.address;
  }

  /** All since the start or the last `forget`, each connection by itself, oldest first. */
  get connections(): readonly Traffic[] {
    return this.#all.map((each) => each.traffic());
  }

  /** The same, summed up. */
  get traffic(): Traffic {
    const sum = (of: keyof Traffic): number =>
      this.connections.reduce((total, each) => total + each[of], 0);
    return {
      roundTrips: sum("roundTrips"),
      requestBytes: sum("requestBytes"),
      replyBytes: sum("replyBytes"),
      requestBytesLost: sum("requestBytesLost"),
      replyBytesLost: sum("replyBytesLost"),
    };
  }

  /** Counts from zero, and drops connections that are closed from `connections`. */
  forget(): void {
    this.#all = [...this.#open];
    for (const each of this.#all) each.forget();
  }

  /** How many connections wait for a reply. */
  get askingConnections(): number {
    return [...this.#open].filter((each) => each.isAsked).length;
  }

  /** How many connections are open. */
  get openConnections(): number {
    return this.#open.size;
  }

  /** Cuts every open connection. New ones are accepted. */
  cut(how: Cut): void {
    for (const each of this.#open) each.cut(how);
  }

  /** Resets what is open and listens no more. Doing it twice is harmless. */
  async close(): Promise<void> {
    this.cut("reset");
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #accept(client: Socket): void {
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const way = { requests: this.requests, replies: this.replies, isUpkeep: this.#isUpkeep };
    const connection = new Connection({ client, server }, way, () => {
      this.#open.delete(connection);
    });
    this.#open.add(connection);
    this.#all.push(connection);
  }
}

/** A network without faults. */
function fair(): Weather {
  return { delayMs: 0, bytesPerSecond: Number.POSITIVE_INFINITY, fate: "pass" };
}

/** A client, the server's side of its connection, and what goes between. */
class Connection {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #requests: Pipe;
  readonly #replies: Pipe;
  #isAsked = false;
  #roundTrips = 0;

  constructor(
    { client, server }: { readonly client: Socket; readonly server: Socket },
    way: Required<ProxyOptions> & { readonly requests: Weather; readonly replies: Weather },
    closed: () => void,
  ) {
    this.#client = client;
    this.#server = server;
    this.#requests = new Pipe(client, server, way.requests, (chunk) => {
      this.#isAsked ||= !way.isUpkeep(chunk);
    });
    this.#replies = new Pipe(server, client, way.replies, () => {
      if (this.#isAsked) this.#roundTrips += 1;
      this.#isAsked = false;
    });
    for (const socket of [client, server]) {
      socket.on("close", () => {
        if (client.destroyed && server.destroyed) closed();
      });
    }
  }

  get isAsked(): boolean {
    return this.#isAsked;
  }

  traffic(): Traffic {
    return {
      roundTrips: this.#roundTrips,
      requestBytes: this.#requests.bytes,
      replyBytes: this.#replies.bytes,
      requestBytesLost: this.#requests.bytesLost,
      replyBytesLost: this.#replies.bytesLost,
    };
  }

  forget(): void {
    this.#roundTrips = 0;
    this.#requests.forget();
    this.#replies.forget();
  }

  cut(how: Cut): void {
    this.#requests.stop();
    this.#replies.stop();
    for (const socket of [this.#client, this.#server]) {
      if (how === "reset") reset(socket);
      else socket.end();
    }
  }
}
