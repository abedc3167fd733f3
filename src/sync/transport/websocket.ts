/**
 * WebSocket connections over `ws`: each message of ours is one binary message, uncompressed. Whether
 * the peer is alive is found out above, by heartbeats; here everything that could wait has a bound.
 */
import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import { isIPv4 } from "node:net";
import type { Duplex } from "node:stream";
import { type ClientOptions, type RawData, WebSocket, WebSocketServer } from "ws";
import type { Environment, Timer } from "../../environment.ts";
import { OverloadedError, ProtocolError, UnauthorizedError, UsageError } from "../../errors.ts";
import type {
  Acceptor,
  Address,
  Authenticate,
  Connection,
  DialTarget,
  Listener,
  ListenOptions,
  Receiver,
  Transport,
} from "../transport.ts";

/** Limits of a WebSocket transport. */
export interface WebSocketOptions {
  /** The largest message that is received, in bytes. Default 64 MiB and a little. */
  readonly messageBytesMax?: number;
  /** How long making a connection may take, authentication included, in ms. Default 10,000. */
  readonly handshakeMsMax?: number;
  /** How long a closing connection waits for its peer, in ms. Default 1,000. */
  readonly closeMsMax?: number;
}

type Limits = Required<WebSocketOptions> & { readonly environment: Environment };

const defaults: Required<WebSocketOptions> = {
  messageBytesMax: 64 * 1024 * 1024 + 1024,
  handshakeMsMax: 10_000,
  closeMsMax: 1_000,
};

/** Connections that have not said what they want, beside those that are links. */
const handshakesMax = 64;
const reasonBytesMax = 123;
const loopbackHosts = new Set(["localhost", "::1", "[::1]"]);

/** Dials and listens at `ws://` addresses. */
export function webSocketTransport(
  environment: Environment,
  options: WebSocketOptions = {},
): Transport {
  const limits = { ...defaults, ...options, environment };
  return {
    check: (url) => void parseUrl(url),
    dial: (target, receiver) => dial(target, receiver, limits),
    listen: (listenOptions, acceptor) => listen(listenOptions, acceptor, limits),
  };
}

// Connections.

/** A socket as a connection, whichever side made it. */
class SocketConnection implements Connection {
  readonly remoteAddress: string;
  readonly #socket: WebSocket;
  readonly #limits: Limits;
  #receiver: Receiver | undefined;
  #error: Error | undefined;
  #closing: Timer | undefined;

  constructor(socket: WebSocket, remoteAddress: string, limits: Limits) {
    this.#socket = socket;
    this.#limits = limits;
    this.remoteAddress = remoteAddress;
    socket.binaryType = "nodebuffer";
    // Without a listener an error would end the process; 'close' follows every one.
    socket.on("error", (error) => this.failed(error));
  }

  /** Starts to tell `receiver`. */
  tell(receiver: Receiver): void {
    this.#receiver = receiver;
    const socket = this.#socket;
    socket.on("message", (data, isBinary) => this.#message(data, isBinary));
    socket.on("close", (code, reason) => {
      this.#closing?.cancel();
      const error = this.#error;
      const text = error?.message ?? (reason.toString() || `closed with code ${code}`);
      receiver.closed({ reason: text, ...(error ? { error } : {}) });
    });
  }

  /** The first thing that went wrong is what is told at the end. */
  failed(error: Error): void {
    this.#error ??= fromSocket(error);
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  send(bytes: Uint8Array): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(bytes, this.#left);
  }

  close(reason: string): void {
    const { environment, closeMsMax } = this.#limits;
    if (this.#socket.readyState === WebSocket.CONNECTING) return this.#socket.terminate();
    this.#socket.close(1000, shortened(reason));
    this.#closing ??= environment.schedule(closeMsMax, () => this.#socket.terminate());
  }

  terminate(): void {
    this.#socket.terminate();
  }

  readonly #left = (error?: Error | null): void => {
    if (!error) this.#receiver?.drained();
  };

  #message(data: RawData, isBinary: boolean): void {
    if (isBinary && Buffer.isBuffer(data)) {
      this.#receiver?.message(data);
      return;
    }
    this.failed(refused("a message that is not binary"));
    this.#socket.terminate();
  }
}

/** What `ws` found wrong with the peer's bytes is the peer's fault; the rest is the network's. */
function fromSocket(error: Error): Error {
  const code = "code" in error ? String(error.code) : "";
  return code.startsWith("WS_ERR_") ? refused(error.message, error) : error;
}

const refused = (reason: string, cause?: Error): ProtocolError =>
  new ProtocolError(`the peer broke the protocol: ${reason}; the link was ended`, {
    reason,
    ...(cause ? { cause } : {}),
  });

// Dialing.

function dial(target: DialTarget, receiver: Receiver, limits: Limits): Connection {
  const url = parseUrl(target.url);
  const options: ClientOptions = {
    perMessageDeflate: false,
    maxPayload: limits.messageBytesMax,
    handshakeTimeout: limits.handshakeMsMax,
    ...(target.token === undefined ? {} : { headers: { authorization: `Bearer ${target.token}` } }),
  };
  const socket = new WebSocket(url, options);
  const connection = new SocketConnection(socket, url.host, limits);
  connection.tell(receiver);
  socket.on("open", () => receiver.opened());
  socket.on("unexpected-response", (request, response) => {
    connection.failed(notUpgraded(response));
    response.resume();
    request.destroy();
    socket.terminate();
  });
  return connection;
}

function notUpgraded(response: IncomingMessage): Error {
  const status = `${response.statusCode} ${response.statusMessage ?? ""}`.trim();
  switch (response.statusCode) {
    case 401:
    case 403:
      return new UnauthorizedError(`the peer refused the token (${status}); nothing was sent`);
    case 429:
    case 503: {
      const seconds = Number(response.headers["retry-after"]);
      return new OverloadedError(
        `the peer takes no more links now (${status})`,
        Number.isFinite(seconds) && seconds >= 0 ? { retryAfterMs: seconds * 1000 } : {},
      );
    }
    default:
      return refused(`it answered ${status} instead of a WebSocket`);
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "ws:") {
    throw new UsageError(`${JSON.stringify(text)} is no address of a peer: ws://host:port is`);
  }
  if (url.hash !== "" || url.username !== "" || url.password !== "") {
    throw new UsageError(`an address of a peer has no # and no user in it; give { url, token }`);
  }
  return url;
}

// Listening.

async function listen(
  options: ListenOptions,
  acceptor: Acceptor,
  limits: Limits,
): Promise<Listener> {
  const { host = "127.0.0.1", authenticate, allowUnauthenticated = false, port } = options;
  if (!authenticate && !allowUnauthenticated && !isLoopback(host)) {
    throw new UsageError(
      `listening on ${host} lets everybody who reaches it write: give listen.authenticate, or say ` +
        "listen.allowUnauthenticated: true",
    );
  }
  const server = createServer({
    headersTimeout: limits.handshakeMsMax,
    requestTimeout: limits.handshakeMsMax,
    connectionsCheckingInterval: Math.ceil(limits.handshakeMsMax / 4),
  });
  server.maxConnections = acceptor.linksMax + handshakesMax;
  server.on("request", (_, response) => {
    response.writeHead(426, { connection: "close", upgrade: "websocket" }).end();
  });
  const door = new Door(server, acceptor, { ...limits, authenticate });
  await bound(server, { host, port });
  return { address: addressOf(server, host), close: () => door.close() };
}

interface DoorOptions extends Limits {
  readonly authenticate: Authenticate | undefined;
}

/** Lets connections in, one by one. */
class Door {
  readonly #server: Server;
  readonly #acceptor: Acceptor;
  readonly #options: DoorOptions;
  readonly #upgrader: WebSocketServer;
  readonly #sockets = new Set<WebSocket>();
  readonly #handshakes = new Set<Duplex>();
  #closing: Promise<void> | undefined;

  constructor(server: Server, acceptor: Acceptor, options: DoorOptions) {
    this.#server = server;
    this.#acceptor = acceptor;
    this.#options = options;
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.messageBytesMax,
    });
    server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    server.on("clientError", (_, socket) => void socket.destroy());
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
      for (const socket of this.#handshakes) socket.destroy();
      for (const socket of this.#sockets) socket.terminate();
    });
    return this.#closing;
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { environment, handshakeMsMax } = this.#options;
    socket.on("error", () => socket.destroy());
    const links = this.#sockets.size + this.#handshakes.size;
    if (this.#closing || links >= this.#acceptor.linksMax) return answer(socket, 503);
    this.#handshakes.add(socket);
    const timer = environment.schedule(handshakeMsMax, () => socket.destroy());
    try {
      const status = await this.#judge(request);
      if (status !== 200) answer(socket, status);
      else if (!socket.destroyed) this.#let(request, socket, head);
    } finally {
      timer.cancel();
      this.#handshakes.delete(socket);
    }
  }

  /** 200, or with what to refuse. Never throws. */
  async #judge(request: IncomingMessage): Promise<200 | 401 | 503> {
    const { authenticate } = this.#options;
    if (authenticate === undefined) return 200;
    const token = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? "")?.[1];
    const remoteAddress = request.socket.remoteAddress ?? "";
    try {
      const asked = { remoteAddress, ...(token === undefined ? {} : { token }) };
      // Untyped callers may return anything; only `true` opens the door.
      const accepted: unknown = await authenticate(asked);
      return accepted === true ? 200 : 401;
    } catch {
      return 503;
    }
  }

  #let(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    if (this.#closing) return answer(stream, 503);
    this.#upgrader.handleUpgrade(request, stream, head, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      const { remoteAddress = "", remotePort = 0 } = request.socket;
      const address = `${remoteAddress}:${remotePort}`;
      const connection = new SocketConnection(socket, address, this.#options);
      const receiver = this.#acceptor.accept(connection);
      connection.tell(receiver);
      receiver.opened();
    });
  }
}

function answer(socket: Duplex, status: 401 | 503): void {
  const more = status === 503 ? "Retry-After: 1\r\n" : "WWW-Authenticate: Bearer\r\n";
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${more}Connection: close\r\nContent-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  );
}

function bound(server: Server, { host, port }: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      reject(
        new UsageError(`cannot listen on ${host}:${port}: ${error.message}; nothing was bound`, {
          cause: error,
        }),
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      // An accept that fails, out of descriptors for instance, ends that one connection.
      server.on("error", () => undefined);
      resolve();
    });
  });
}

function addressOf(server: Server, host: string): Address {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("assertion: not bound");
  return { host, port: address.port };
}

const isLoopback = (host: string): boolean =>
  loopbackHosts.has(host) || (isIPv4(host) && host.startsWith("127."));

function shortened(reason: string): string {
  let short = reason.slice(0, reasonBytesMax);
  while (Buffer.byteLength(short) > reasonBytesMax) short = short.slice(0, -1);
  return short;
}
