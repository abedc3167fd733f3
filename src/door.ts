/**
 * The one port of a replica that takes connections. Whatever comes is bounded, encrypted if so wished,
 * and authenticated here, before anything that it says is looked at; behind it are links, and HTTP.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Grant } from "./access.ts";

/** Certificates of a listener: files, which are read again when they change. */
export interface TlsOptions {
  /** The chain of our own certificate, PEM. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Who may sign the certificates of others, PEM. Default: what Node trusts. */
  readonly caFile?: string;
  /** Takes nobody without a certificate that `caFile` signed. Default false. */
  readonly requireClientCertificate?: boolean;
  /** How often the files are looked at, in ms. Default 60,000. */
  readonly reloadMs?: number;
}

/** Certificates of one who dials: read at each dial. */
export interface DialTlsOptions {
  /** Who may sign the peer's certificate, PEM. Default: what Node trusts. */
  readonly caFile?: string;
  /** Our own certificate, where the peer wants one, PEM. */
  readonly certFile?: string;
  readonly keyFile?: string;
  /** The name that the peer's certificate has to have. Default: the host that is dialed. */
  readonly serverName?: string;
}

/** What is known of a connection before it is accepted. */
export interface ConnectionRequest {
  /** The bearer token, if there was one. */
  readonly token?: string;
  readonly remoteAddress: string;
  /** The certificate, if there was one that we trust. */
  readonly certificate?: { readonly commonName: string; readonly fingerprint256: string };
}

/**
 * What whoever asks may do: a grant, everything (`true`) or nothing (`false`). A promise that rejects
 * refuses it for now.
 */
export type Authenticate = (
  request: ConnectionRequest,
) => boolean | Grant | Promise<boolean | Grant>;

/** Where to listen, and to whom. */
export interface DoorOptions {
  /** 0 picks one. */
  readonly port: number;
  /** Default `127.0.0.1`. Beyond loopback, `authenticate` must be given. */
  readonly host?: string;
  /** Absent: plain text. */
  readonly tls?: TlsOptions;
  readonly authenticate?: Authenticate;
  /** Listens beyond loopback to anyone. */
  readonly allowUnauthenticated?: boolean;
  /** Connections from one address at a time. Default 512: a proxy before us is one address. */
  readonly connectionsPerAddressMax?: number;
  /**
   * Pages of these origins may open connections of clients of documents, besides pages of our own: each exactly as a
   * browser says it, such as `https://app.example.com`. Never links nor HTTP, which has no CORS. Default: none.
   */
  readonly allowedOrigins?: readonly string[];
}

/** Where a door is bound. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What became of one who asked. */
export type Admission =
  | { readonly kind: "admitted"; readonly grant: Grant }
  | {
      readonly kind: "refused";
      /** No token or a wrong one; a page of a foreign site; too many; it cannot be told now. */
      readonly status: 401 | 403 | 429 | 503;
      readonly retryAfterMs?: number;
    };

/** Takes one HTTP request. `admit` tells what its sender may do, and counts a refusal; asked at most once. */
export type HttpHandler = (
  request: IncomingMessage,
  response: ServerResponse,
  admit: () => Promise<Admission>,
) => void;

/** Takes one connection that asked to be upgraded, and was admitted. */
export type UpgradeHandler = (
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  grant: Grant,
) => void;

/** A connection that asked for a route, and was admitted. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly grant: Grant;
  /** What follows the segment and its slash, decoded once, without the query. */
  readonly path: string;
}

/**
 * A way in for upgrades besides that of links. Its connections have places of their own. Since a browser can give
 * a WebSocket no header, a token may also come as `?token=`; `Authorization` goes before it.
 */
export interface Route {
  /** The first segment of the path, as it is written there. */
  readonly segment: string;
  /** Connections at a time; more are answered 503. */
  readonly connectionsMax: number;
  /** Whether somebody may come in there: 403 or 404 else. */
  judge(path: string, grant: Grant): "admitted" | "forbidden" | "not-found";
  /** Takes one who may. */
  arrived(arrival: Arrival): void;
}

/** Why something was refused before anybody behind the door saw it: the label of a count. */
export type Refused =
  | "unauthenticated"
  | "forbidden"
  | "certificate"
  | "connections"
  | "slow"
  | "malformed"
  | "rate";

/** A bound port. */
export interface Door {
  readonly address: Address;
  /** When our own certificate ends, in ms since the Unix epoch; undefined without one. */
  readonly certificateEndsMs: number | undefined;
  /** Who takes requests that are no upgrades; the last one that was given. Before: 426. */
  serve(handler: HttpHandler): void;
  /** One more way in. @throws UsageError for a segment that has one. */
  route(route: Route): void;
  /** Reads the certificates again, now. @throws what is wrong with them; the former ones stay. */
  reloadCertificates(): Promise<void>;
  /** Takes nothing new; what is under way goes on. Harmless twice. */
  stopListening(): void;
  /** Stops listening and ends every connection that is left. Harmless twice. */
  close(): Promise<void>;
}
