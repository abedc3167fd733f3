/** The door as a server of Node's: `http`, or `https` where there are certificates. */
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  STATUS_CODES,
} from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import { type DropArgument, isIP, isIPv4, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { fullGrant, type Grant } from "../access.ts";
import type {
  Address,
  Admission,
  Arrival,
  Door,
  DoorOptions,
  HttpHandler,
  Refused,
  Route,
  TlsOptions,
  UpgradeHandler,
} from "../door.ts";
import type { Environment, Timer } from "../environment.ts";
import { UsageError } from "../errors.ts";
import type { Logger, Telemetry } from "../telemetry.ts";
import { asked, checkOrigins } from "./asked.ts";
import { type Certificates, readCertificates, stampOf } from "./certificates.ts";
import { Turnstile } from "./turnstile.ts";
import { type Destination, Ways } from "./ways.ts";

/** What a door is made of, besides what its owner says. */
export interface HttpDoorOptions extends DoorOptions {
  readonly environment: Environment;
  readonly telemetry: Telemetry;
  readonly logger: Logger;
  /** Connections at a time, of all kinds but routes, which have their own. */
  readonly connectionsMax: number;
  /** How long a connection may take to say what it wants, authentication included, in ms. */
  readonly handshakeMsMax: number;
  /** Takes those who ask to be upgraded, and for no route. */
  readonly onUpgrade: UpgradeHandler;
  /** How many more upgrades there may be now; 0 is answered 503. */
  readonly upgradesLeft: () => number;
}

/** Upgrades and requests that are being authenticated at a time. */
const judgedMax = 64;
const connectionsPerAddressDefault = 512;
const reloadMsDefault = 60_000;
/** For whom is refused for now. */
const retryAfterMs = 1_000;
/** How long before our certificate ends that is said, in ms. */
const endsSoonMs = 14 * 24 * 60 * 60 * 1_000;
const loopbackHosts = new Set(["localhost", "::1", "[::1]"]);

/**
 * Resolves once the port is bound.
 * @throws UsageError when it would listen beyond loopback without authentication, a certificate is not
 * usable, or the port is taken; nothing is bound then.
 */
export async function openDoor(options: HttpDoorOptions): Promise<Door> {
  const { host = "127.0.0.1", authenticate, allowUnauthenticated = false, port, tls } = options;
  checkOrigins(options.allowedOrigins ?? []);
  if (!authenticate && !allowUnauthenticated && !isLoopback(host)) {
    throw new UsageError(
      `listening on ${host} lets everybody who reaches it write: give listen.authenticate, or say ` +
        "listen.allowUnauthenticated: true",
    );
  }
  const certificates = tls && (await readCertificates(tls));
  const door = new HttpDoor(serverOf(options, certificates), options, certificates);
  await door.bind({ host, port });
  return door;
}

function serverOf(options: HttpDoorOptions, certificates: Certificates | undefined): Server {
  const { handshakeMsMax } = options;
  const limits = {
    headersTimeout: handshakeMsMax,
    requestTimeout: handshakeMsMax,
    connectionsCheckingInterval: Math.ceil(handshakeMsMax / 4),
  };
  if (certificates === undefined) return createPlainServer(limits);
  const { requireClientCertificate = false, caFile } = options.tls ?? {};
  return createTlsServer({
    ...limits,
    ...certificates.context,
    handshakeTimeout: handshakeMsMax,
    requestCert: requireClientCertificate || caFile !== undefined,
    rejectUnauthorized: requireClientCertificate,
    ALPNProtocols: ["http/1.1"],
  });
}

class HttpDoor implements Door {
  readonly #server: Server;
  readonly #options: HttpDoorOptions;
  readonly #turnstile: Turnstile;
  readonly #ways: Ways;
  #judged = 0;
  #handler: HttpHandler | undefined;
  #certificates: Certificates | undefined;
  #reloading: Timer | undefined;
  #address: Address = { host: "", port: 0 };
  #isListening = false;
  #closing: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(server: Server, options: HttpDoorOptions, certificates: Certificates | undefined) {
    this.#server = server;
    this.#options = options;
    this.#certificates = certificates;
    this.#ways = new Ways(options.upgradesLeft);
    this.#turnstile = new Turnstile(
      options.connectionsPerAddressMax ?? connectionsPerAddressDefault,
    );
    server.maxConnections = options.connectionsMax;
    server.on("drop", (dropped?: DropArgument) =>
      this.#refused("connections", dropped?.remoteAddress),
    );
    server.on("connection", (socket) => {
      if (this.#turnstile.lets(socket)) return;
      this.#refused("connections", socket.remoteAddress);
      socket.destroy();
    });
    server.on("request", (request, response) => {
      if (this.#handler) return this.#handler(request, response, () => this.#admit(request, false));
      response.writeHead(426, { connection: "close", upgrade: "websocket" }).end();
    });
    server.on("upgrade", (request, socket, head) => void this.#upgrade(request, socket, head));
    server.on("clientError", (error: Error & { readonly code?: string }, socket) => {
      const reason = error.code === "ERR_HTTP_REQUEST_TIMEOUT" ? "slow" : "malformed";
      this.#refused(reason, addressOf(socket));
      socket.destroy();
    });
    server.on("tlsClientError", (error: Error & { readonly code?: string }, socket: TLSSocket) => {
      // Theirs was not good enough, or they say that of ours.
      const isOfTrust = Boolean(socket.authorizationError) || error.code?.includes("CERT") === true;
      this.#refused(isOfTrust ? "certificate" : "malformed", socket.remoteAddress);
    });
  }

  get address(): Address {
    return this.#address;
  }

  get certificateEndsMs(): number | undefined {
    return this.#certificates?.endsMs;
  }

  async bind({ host, port }: Address): Promise<void> {
    await bound(this.#server, { host, port });
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("assertion: not bound");
    this.#address = { host, port: address.port };
    this.#isListening = true;
    const { tls } = this.#options;
    if (tls === undefined) return;
    this.#warnOfEnd();
    this.#reloadLater(tls);
  }

  serve(handler: HttpHandler): void {
    this.#handler = handler;
  }

  route(route: Route): void {
    this.#ways.add(route);
    this.#server.maxConnections += route.connectionsMax;
  }

  async reloadCertificates(): Promise<void> {
    const { tls, logger } = this.#options;
    if (tls === undefined || !(this.#server instanceof TlsServer)) return;
    const read = await readCertificates(tls);
    this.#server.setSecureContext(read.context);
    this.#certificates = read;
    logger.info(
      { certFile: tls.certFile, endsMs: read.endsMs },
      "the certificates were read again",
    );
    this.#warnOfEnd();
  }

  stopListening(): void {
    this.#isListening = false;
    this.#stopped ??= new Promise((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    this.#reloading?.cancel();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.stopListening();
    this.#server.closeAllConnections();
    this.#ways.destroy();
    await this.#stopped;
  }

  // Certificates.

  #reloadLater(tls: TlsOptions): void {
    const { environment } = this.#options;
    this.#reloading = environment.schedule(tls.reloadMs ?? reloadMsDefault, () => {
      void this.#reloadIfChanged(tls);
    });
  }

  async #reloadIfChanged(tls: TlsOptions): Promise<void> {
    try {
      if ((await stampOf(tls)) !== this.#certificates?.stamp) await this.reloadCertificates();
      else this.#warnOfEnd();
    } catch (error) {
      // Half of a pair may have been written so far.
      this.#options.logger.error(
        { err: error },
        "the certificates cannot be read; the old ones stay",
      );
      this.#options.telemetry.count("trellis_certificate_failures_total");
    }
    if (this.#isListening) this.#reloadLater(tls);
  }

  #warnOfEnd(): void {
    const { environment, logger, telemetry, tls } = this.#options;
    const endsMs = this.#certificates?.endsMs;
    if (endsMs === undefined) return;
    const leftMs = endsMs - environment.now();
    telemetry.gauge("trellis_certificate_left_ms", leftMs);
    if (leftMs > endsSoonMs) return;
    const fields = { certFile: tls?.certFile, endsMs, leftMs };
    if (leftMs > 0) logger.warn(fields, "our certificate ends soon");
    else logger.error(fields, "our certificate has ended: whoever checks it refuses us");
  }

  // Who may come in.

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const { environment, handshakeMsMax } = this.#options;
    socket.on("error", () => socket.destroy());
    const destination = this.#ways.of(request.url ?? "");
    const { way } = destination;
    if (!this.#isListening || !way.hasRoom) {
      this.#refused("connections", request.socket.remoteAddress);
      return answer(socket, { kind: "refused", status: 503, retryAfterMs });
    }
    way.deciding(socket);
    const timer = environment.schedule(handshakeMsMax, () => {
      this.#refused("slow", request.socket.remoteAddress);
      socket.destroy();
    });
    try {
      const admission = await this.#admit(request, way.route !== undefined);
      if (admission.kind === "refused") answer(socket, admission);
      else if (socket.destroyed) return;
      else if (!this.#isListening) answer(socket, { kind: "refused", status: 503, retryAfterMs });
      else this.#enter({ request, socket, head, grant: admission.grant }, destination);
    } finally {
      timer.cancel();
      way.decided(socket);
    }
  }

  /** By the way that was asked for. */
  #enter(admitted: Omit<Arrival, "path">, { way, path }: Destination): void {
    const { request, socket, head, grant } = admitted;
    const { route } = way;
    if (route === undefined) return this.#options.onUpgrade(request, socket, head, grant);
    const judgement = path === undefined ? "not-found" : route.judge(path, grant);
    if (path === undefined || judgement !== "admitted") {
      const status = judgement === "forbidden" ? 403 : 404;
      this.#refused(status === 403 ? "forbidden" : "malformed", request.socket.remoteAddress);
      return answer(socket, { kind: "refused", status });
    }
    way.entered(socket);
    route.arrived({ ...admitted, path });
  }

  /** Never throws. */
  async #admit(request: IncomingMessage, isRouted: boolean): Promise<Admission> {
    if (this.#isForeign(request, isRouted)) {
      this.#refused("forbidden", request.socket.remoteAddress);
      return { kind: "refused", status: 403 };
    }
    const { authenticate } = this.#options;
    if (authenticate === undefined) return { kind: "admitted", grant: fullGrant };
    if (this.#judged >= judgedMax) {
      this.#refused("rate", request.socket.remoteAddress);
      return { kind: "refused", status: 503, retryAfterMs };
    }
    this.#judged++;
    try {
      // Untyped callers may return anything; only `true` and a grant open the door.
      const accepted: unknown = await authenticate(asked(request, isRouted));
      if (accepted === true) return { kind: "admitted", grant: fullGrant };
      if (isGrant(accepted)) return { kind: "admitted", grant: accepted };
      this.#refused("unauthenticated", request.socket.remoteAddress);
      return { kind: "refused", status: 401 };
    } catch (error) {
      this.#options.logger.warn({ err: error }, "who asks cannot be judged now");
      this.#refused("unauthenticated", request.socket.remoteAddress);
      return { kind: "refused", status: 503, retryAfterMs };
    } finally {
      this.#judged--;
    }
  }

  /**
   * A page of another site, in a browser that can reach us, must not speak for its user; nor one that
   * had its own name point at us.
   */
  #isForeign({ headers }: IncomingMessage, isRouted: boolean): boolean {
    const { host = "", origin } = headers;
    const isAllowed =
      isRouted && origin !== undefined && this.#options.allowedOrigins?.includes(origin) === true;
    if (origin !== undefined && !isAllowed) {
      if (!URL.canParse(origin) || new URL(origin).host !== host) return true;
    }
    if (this.#options.authenticate || !isLoopback(this.#address.host)) return false;
    const name = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname : host;
    return host !== "" && !isLoopback(name) && isIP(name.replace(/^\[|\]$/gu, "")) === 0;
  }

  #refused(reason: Refused, remoteAddress: string | undefined): void {
    this.#options.telemetry.count("trellis_refused_total", 1, { reason });
    this.#options.logger.debug({ reason, remoteAddress }, "somebody was refused");
  }
}

const addressOf = (socket: Duplex): string | undefined =>
  socket instanceof Socket ? socket.remoteAddress : undefined;

const isGrant = (value: unknown): value is Grant =>
  typeof value === "object" && value !== null && "replicate" in value && "subject" in value;

type Refusal = Omit<Extract<Admission, { kind: "refused" }>, "status"> & {
  readonly status: number;
};

function answer(socket: Duplex, { status, retryAfterMs: waitMs = 0 }: Refusal): void {
  const retry = waitMs > 0 ? `Retry-After: ${Math.ceil(waitMs / 1_000)}\r\n` : "";
  const more = status === 401 ? "WWW-Authenticate: Bearer\r\n" : retry;
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

const isLoopback = (host: string): boolean =>
  loopbackHosts.has(host) || (isIPv4(host) && host.startsWith("127."));
