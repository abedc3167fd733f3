/** What `serveHttp` takes, and every bound with its reason. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Environment } from "../environment.ts";
import { InvalidValueError } from "../errors.ts";
import type { Logger, Telemetry } from "../telemetry.ts";

/** Bounds of an HTTP service. Each is positive. */
export interface HttpLimits {
  /** Of a request's body, in bytes. Default 1 MiB. */
  readonly bodyBytesMax: number;
  /** How long a body may take, in ms. Default 10,000. */
  readonly bodyMsMax: number;
  /** Of an answer, in bytes: a list or a set is cut there. Default 2 MiB. */
  readonly responseBytesMax: number;
  /** How long its reader may take for an answer, in ms. Default 30,000. */
  readonly responseMsMax: number;
  /** Requests at a time that wait for nothing but their turn. Default 256; more are answered 503. */
  readonly requestsMax: number;
  /** Of one subject, of whatever sort: half of all by default, so that no client takes them all. */
  readonly perSubjectShare: number;
  /** Escalated operations at a time: a lock server that is away holds up no others. Default 128. */
  readonly escalatedMax: number;
  /** Requests at a time that wait for the disk or for a version. Default 256. */
  readonly waitingMax: number;
  /** Event streams. Default 256. */
  readonly streamsMax: number;
  /** What a stream may have unsent before it takes no more, in bytes. Default 256 KiB. */
  readonly streamBufferBytesMax: number;
  /** How long a stream's reader may take nothing, in ms; then it is ended. Default 30,000. */
  readonly streamStallMsMax: number;
  /** Between two signs of life on a stream, in ms. Default 15,000: less than what proxies bear. */
  readonly heartbeatMs: number;
  /** Between two status events, in ms. Default 1,000. */
  readonly statusMs: number;
  /**
   * When the event loop is later than this, in ms, and a sixteenth of `requestsMax` is under way, writes are
   * answered 503. Default 100.
   */
  readonly lagMsMax: number;
  /** Keys or elements in one answer. Default 10,000. */
  readonly listMax: number;
  /** Operations of one batch. Default 1,000. */
  readonly batchMax: number;
  /** How long a read waits for the version that `Trellis-After` names, in ms. Default 5,000. */
  readonly afterMsMax: number;
  /** How long a keyed write waits for the disk, in ms. Default 10,000. */
  readonly durableMsMax: number;
  /** How long closing waits for what is under way, in ms. Default 5,000. */
  readonly drainMsMax: number;
  /**
   * Idempotency keys that are remembered, some 250 bytes each. Default 250,000; a full memory refuses new ones. So
   * many in a window is what the cluster takes for good: 277 keyed writes a second by default.
   */
  readonly idempotencyKeysMax: number;
  /** How long, in ms. Default 900,000 (a quarter of an hour): retries come soon. */
  readonly idempotencyWindowMs: number;
  /** How long keyed writes wait after a crash for peers to tell what the disk had not, in ms. Default 60,000. */
  readonly retryGateMs: number;
  /** After so long, in ms, a peer is ready though it has not met all its peers. Default 30,000. */
  readonly readyMsMax: number;
}

/** The defaults of all bounds. */
export const defaultLimits: HttpLimits = {
  bodyBytesMax: 1024 * 1024,
  bodyMsMax: 10_000,
  responseBytesMax: 2 * 1024 * 1024,
  responseMsMax: 30_000,
  requestsMax: 256,
  perSubjectShare: 0.5,
  escalatedMax: 128,
  waitingMax: 256,
  streamsMax: 256,
  streamBufferBytesMax: 256 * 1024,
  streamStallMsMax: 30_000,
  heartbeatMs: 15_000,
  statusMs: 1_000,
  lagMsMax: 100,
  listMax: 10_000,
  batchMax: 1_000,
  afterMsMax: 5_000,
  durableMsMax: 10_000,
  drainMsMax: 5_000,
  idempotencyKeysMax: 250_000,
  idempotencyWindowMs: 900_000,
  retryGateMs: 60_000,
  readyMsMax: 30_000,
};

/** The figures as a scraper reads them. */
export interface MetricsText {
  text(): Promise<string>;
  readonly contentType: string;
}

/**
 * Takes the `GET` and `HEAD` requests that no route has: a page and its assets, for whoever comes, without a token.
 * Returns whether it took this one; then it answers, now or later.
 */
export type PageHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/** How to serve. */
export interface HttpOptions extends Partial<HttpLimits> {
  /** Answers `GET /metrics`; absent: 404. */
  readonly metrics?: MetricsText;
  /** Answers `GET /` and what else is no route, for whoever comes; absent: 404. */
  readonly page?: PageHandler;
  readonly logger?: Logger;
  readonly telemetry?: Telemetry;
  readonly environment?: Environment;
  /** Whether log lines have collections and keys. Default false. */
  readonly logKeys?: boolean;
}

/** All bounds. @throws InvalidValueError for one that is not positive. */
export function limitsOf(options: HttpOptions): HttpLimits {
  const limits: Record<string, number> = { ...defaultLimits };
  for (const name of Object.keys(defaultLimits)) {
    const given = options[name as keyof HttpLimits];
    if (given === undefined) continue;
    if (!(typeof given === "number" && given > 0 && Number.isFinite(given))) {
      const reason = "is not a positive number";
      throw new InvalidValueError(`http.${name} ${reason}: ${given}`, { path: name, reason });
    }
    limits[name] = given;
  }
  return { ...defaultLimits, ...limits };
}
