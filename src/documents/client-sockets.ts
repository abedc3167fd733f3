/** The clients of one protocol: WebSockets that came by a route of the door. */
import { WebSocket, WebSocketServer } from "ws";
import type { Arrival, Route } from "../door.ts";
import type { Environment, Timer } from "../environment.ts";
import type { FigureSink, Logger, Telemetry } from "../telemetry.ts";
import { type ClientLimits, defaultClientLimits } from "./client-limits.ts";
import type { ClientProtocol } from "./client.ts";
import { type ClientEnd, SocketClient, type SocketClientOptions } from "./socket-client.ts";

/** What they need. */
export interface ClientSocketsOptions {
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  /** Default: as a replica has them. */
  readonly limits?: ClientLimits;
}

const goingAway = 1001;
/** What `ws` ends a connection with for too long a message. */
const tooLarge = 1009;

/** The clients of one protocol. */
export class ClientSockets {
  readonly route: Route;
  readonly #protocol: ClientProtocol;
  readonly #options: ClientSocketsOptions;
  readonly #limits: ClientLimits;
  readonly #shared: SocketClientOptions;
  readonly #upgrader: WebSocketServer;
  readonly #clients = new Set<SocketClient>();
  readonly #bytes = { in: 0, out: 0 };
  readonly #endFigures: (() => void) | undefined;
  #round: Timer | undefined;
  #closing: Promise<void> | undefined;
  #emptied: (() => void) | undefined;

  constructor(protocol: ClientProtocol, options: ClientSocketsOptions) {
    const { environment, telemetry, logger, limits = defaultClientLimits } = options;
    this.#protocol = protocol;
    this.#options = options;
    this.#limits = limits;
    this.#shared = {
      ...{ environment, logger, limits },
      onBytes: (direction, count) => void (this.#bytes[direction] += count),
      onEnd: (why) => this.#gaveUp(why),
    };
    this.#upgrader = new WebSocketServer({
      ...{ noServer: true, clientTracking: false, perMessageDeflate: false },
      maxPayload: protocol.messageBytesMax,
      WebSocket: socketsOf(protocol),
    });
    this.route = {
      segment: protocol.segment,
      connectionsMax: limits.connectionsMax,
      judge: (path, grant) => protocol.judge(path, grant),
      arrived: (arrival) => this.#arrived(arrival),
    };
    this.#endFigures = telemetry.collect?.((sink) => this.#show(sink));
  }

  /** How many there are. */
  get size(): number {
    return this.#clients.size;
  }

  /** Tells all to go, and resolves when they have, or were cut off. Harmless twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#round?.cancel();
    for (const client of this.#clients) client.close(goingAway, "the replica closes");
    this.#protocol.close();
    if (this.#clients.size > 0) await new Promise<void>((resolve) => (this.#emptied = resolve));
    this.#endFigures?.();
  }

  #arrived({ request, socket: stream, head, grant, path }: Arrival): void {
    this.#upgrader.handleUpgrade(request, stream, head, (socket) => {
      if (this.#closing) return socket.terminate();
      const { remoteAddress = "", remotePort = 0 } = request.socket;
      const who = { grant, remoteAddress: `${remoteAddress}:${remotePort}` };
      const client = new SocketClient(socket, who, this.#shared);
      this.#clients.add(client);
      socket.once("close", () => this.#left(client));
      client.tell(this.#protocol.accept(client, path));
      this.#round ??= this.#nextRound();
    });
  }

  #left(client: SocketClient): void {
    this.#clients.delete(client);
    if (this.#clients.size === 0) this.#emptied?.();
  }

  #nextRound(): Timer {
    return this.#options.environment.schedule(this.#limits.pingMs, () => {
      for (const client of this.#clients) client.ask();
      this.#round = this.#clients.size > 0 ? this.#nextRound() : undefined;
    });
  }

  #gaveUp(reason: ClientEnd): void {
    const protocol = this.#protocol.segment;
    this.#options.telemetry.count("trellis_document_clients_ended_total", 1, { protocol, reason });
  }

  #show(sink: FigureSink): void {
    const labels = { protocol: this.#protocol.segment };
    sink.gauge("trellis_document_clients", this.#clients.size, labels);
    sink.total("trellis_document_client_in_bytes_total", this.#bytes.in, labels);
    sink.total("trellis_document_client_out_bytes_total", this.#bytes.out, labels);
  }
}

/** Sockets that say in the protocol's own way that a message was too long. */
function socketsOf({ tooLargeCode = tooLarge }: ClientProtocol): typeof WebSocket {
  return class extends WebSocket {
    override close(code?: number, reason?: string | Buffer): void {
      super.close(code === tooLarge ? tooLargeCode : code, reason);
    }
  };
}
