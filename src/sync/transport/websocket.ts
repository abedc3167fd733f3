/**
 * WebSocket connections over `ws`: each message of ours is one binary message, uncompressed. Whether
 * the peer is alive is found out above, by heartbeats; here everything that could wait has a bound.
 */
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type ClientOptions, type RawData, WebSocket, WebSocketServer } from "ws";
import type { Grant } from "../../access.ts";
import type { DialTlsOptions, DoorOptions } from "../../door.ts";
import { openDoor } from "../../door/http-door.ts";
import type { Environment, Timer } from "../../environment.ts";
import { OverloadedError, ProtocolError, UnauthorizedError, UsageError } from "../../errors.ts";
import { type Logger, silentLogger, silentTelemetry, type Telemetry } from "../../telemetry.ts";
import type {
  Acceptor,
  Connection,
  DialTarget,
  Listener,
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
  readonly telemetry?: Telemetry;
  readonly logger?: Logger;
}

type Limits = Required<WebSocketOptions> & { readonly environment: Environment };

const defaults: Required<WebSocketOptions> = {
  messageBytesMax: 64 * 1024 * 1024 + 1024,
  handshakeMsMax: 10_000,
  closeMsMax: 1_000,
  telemetry: silentTelemetry,
  logger: silentLogger,
};

/** Connections that are no links: they have not said what they want, or they are HTTP. */
const othersMax = 1_024;
const reasonBytesMax = 123;

/** Dials and listens at `ws://` and `wss://` addresses. */
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
  if (code.startsWith("WS_ERR_")) return refused(error.message, error);
  if (!certificateCodes.test(code)) return error;
  const message = `no trust between the peer's certificate and ours (${code}: ${error.message})`;
  return new UnauthorizedError(`${message}; nothing was sent`, { cause: error });
}

/** What OpenSSL and Node say of certificates, ours or theirs. */
const certificateCodes =
  /^(?:CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|ERR_TLS_CERT_|ERR_SSL_(?:TLSV1_ALERT|TLSV13_ALERT|SSLV3_ALERT)_)/u;

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
  const certificates = certificatesOf(target.tls);
  const isUsable = !(certificates instanceof Error);
  const socket = new WebSocket(url, isUsable ? { ...options, ...certificates } : options);
  const connection = new SocketConnection(socket, url.host, limits);
  connection.tell(receiver);
  if (!isUsable) {
    connection.failed(certificates);
    socket.terminate();
  }
  socket.on("open", () => receiver.opened());
  socket.on("unexpected-response", (request, response) => {
    connection.failed(notUpgraded(response));
    response.resume();
    request.destroy();
    socket.terminate();
  });
  return connection;
}

/** What to show and to ask for, as it is in the files now; or why it is not to be had. */
function certificatesOf(options: DialTlsOptions = {}): ClientOptions | Error {
  const { caFile, certFile, keyFile, serverName } = options;
  try {
    return {
      minVersion: "TLSv1.2",
      ...(caFile !== undefined && { ca: readFileSync(caFile) }),
      ...(certFile !== undefined && { cert: readFileSync(certFile) }),
      ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
      ...(serverName !== undefined && { servername: serverName }),
    };
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
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
  if (url?.protocol !== "ws:" && url?.protocol !== "wss:") {
    throw new UsageError(
      `${JSON.stringify(text)} is no address of a peer: ws://host:port and wss://host:port are`,
    );
  }
  if (url.hash !== "" || url.username !== "" || url.password !== "") {
    throw new UsageError(`an address of a peer has no # and no user in it; give { url, token }`);
  }
  return url;
}

// Listening.

async function listen(options: DoorOptions, acceptor: Acceptor, limits: Limits): Promise<Listener> {
  const links = new AcceptedLinks(acceptor, limits);
  const door = await openDoor({
    ...options,
    environment: limits.environment,
    telemetry: limits.telemetry,
    logger: limits.logger,
    connectionsMax: acceptor.linksMax + othersMax,
    handshakeMsMax: limits.handshakeMsMax,
    upgradesLeft: () => acceptor.linksMax - links.count,
    onUpgrade: (request, socket, head, grant) => links.add(request, { socket, head, grant }),
  });
  const close = async (): Promise<void> => {
    links.terminate();
    await door.close();
  };
  return { address: door.address, door, close };
}

interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly grant: Grant;
}

/** The links that were let in. */
class AcceptedLinks {
  readonly #acceptor: Acceptor;
  readonly #limits: Limits;
  readonly #upgrader: WebSocketServer;
  readonly #sockets = new Set<WebSocket>();

  constructor(acceptor: Acceptor, limits: Limits) {
    this.#acceptor = acceptor;
    this.#limits = limits;
    this.#upgrader = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.messageBytesMax,
    });
  }

  get count(): number {
    return this.#sockets.size;
  }

  add(request: IncomingMessage, { socket: stream, head, grant }: Upgrade): void {
    const { replicate } = grant;
    if (replicate === "nothing") {
      this.#limits.telemetry.count("trellis_refused_total", 1, { reason: "forbidden" });
      stream.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    this.#upgrader.handleUpgrade(request, stream, head, (socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      const { remoteAddress = "", remotePort = 0 } = request.socket;
      const address = `${remoteAddress}:${remotePort}`;
      const connection = new SocketConnection(socket, address, this.#limits);
      const receiver = this.#acceptor.accept(connection, replicate);
      connection.tell(receiver);
      receiver.opened();
    });
  }

  terminate(): void {
    for (const socket of this.#sockets) socket.terminate();
  }
}

function shortened(reason: string): string {
  let short = reason.slice(0, reasonBytesMax);
  while (Buffer.byteLength(short) > reasonBytesMax) short = short.slice(0, -1);
  return short;
}
