/** The settings of HTTP: part of the table of `trellis peer`. */
import { defaultLimits, type HttpLimits } from "../../http/options.ts";
import { integer, yesOrNo } from "./kinds.ts";
import { dayMs, type Setting } from "./setting.ts";

/** A bound of HTTP that can be set; the others keep their defaults. */
type HttpLimit =
  | "bodyBytesMax"
  | "requestsMax"
  | "escalatedMax"
  | "waitingMax"
  | "streamsMax"
  | "lagMsMax"
  | "idempotencyKeysMax"
  | "idempotencyWindowMs"
  | "readyMsMax";

/** All of them. */
export const httpLimits: readonly (HttpLimit & keyof HttpLimits)[] = [
  ...(["bodyBytesMax", "requestsMax", "escalatedMax", "waitingMax", "streamsMax"] as const),
  ...(["lagMsMax", "idempotencyKeysMax", "idempotencyWindowMs", "readyMsMax"] as const),
];

/** What was settled of HTTP, by path. */
export interface HttpSettings extends Readonly<Record<`http.${HttpLimit}`, number>> {
  readonly "http.enabled": boolean;
  readonly "http.dashboard": boolean;
  readonly "http.logKeys": boolean;
}

/** The part of the table, in the order in which it is shown. */
export const httpSettings: { readonly [N in keyof HttpSettings]: Setting<HttpSettings[N]> } = {
  "http.enabled": {
    ...{ kind: yesOrNo, default: true, flag: "--http", variable: "HTTP" },
    reason: "serve HTTP on the same port: collections, health, status, events",
  },
  "http.dashboard": {
    ...{ kind: yesOrNo, default: true, flag: "--dashboard", variable: "HTTP_DASHBOARD" },
    reason: "show the dashboard at /; its figures only to whom the right observe was given",
  },
  "http.bodyBytesMax": {
    ...{ kind: integer(1_024, 64 * 1024 * 1024), default: defaultLimits.bodyBytesMax },
    ...{ flag: "--http-body-bytes-max <bytes>", variable: "HTTP_BODY_BYTES_MAX", unit: "bytes" },
    reason: "what a request may bring",
  },
  "http.requestsMax": {
    ...{ kind: integer(1, 65_536), default: defaultLimits.requestsMax, unit: "count" },
    ...{ flag: "--http-requests-max <count>", variable: "HTTP_REQUESTS_MAX" },
    reason: "requests at a time; more are answered 503 with Retry-After",
  },
  "http.escalatedMax": {
    ...{ kind: integer(1, 65_536), default: defaultLimits.escalatedMax, unit: "count" },
    ...{ flag: "--http-escalated-max <count>", variable: "HTTP_ESCALATED_MAX" },
    reason: "of them, those that wait for locks: a lock store that is away holds up no others",
  },
  "http.waitingMax": {
    ...{ kind: integer(1, 65_536), default: defaultLimits.waitingMax, unit: "count" },
    ...{ flag: "--http-waiting-max <count>", variable: "HTTP_WAITING_MAX" },
    reason: "requests at a time that wait for the disk or for a version",
  },
  "http.streamsMax": {
    ...{ kind: integer(1, 65_536), default: defaultLimits.streamsMax, unit: "count" },
    ...{ flag: "--http-streams-max <count>", variable: "HTTP_STREAMS_MAX" },
    reason: "streams of events at a time",
  },
  "http.lagMsMax": {
    ...{ kind: integer(1, 60_000), default: defaultLimits.lagMsMax, unit: "ms" },
    ...{ flag: "--http-lag-ms-max <ms>", variable: "HTTP_LAG_MS_MAX" },
    reason: "when the event loop is later than that, writes are answered 503 until it is not",
  },
  "http.idempotencyKeysMax": {
    ...{ kind: integer(1, 10_000_000), default: defaultLimits.idempotencyKeysMax, unit: "count" },
    ...{ flag: "--http-idempotency-keys-max <count>", variable: "HTTP_IDEMPOTENCY_KEYS_MAX" },
    reason:
      "keys of writes that are remembered; a full memory refuses new ones, it forgets none early",
  },
  "http.idempotencyWindowMs": {
    ...{
      kind: integer(1_000, 366 * dayMs),
      default: defaultLimits.idempotencyWindowMs,
      unit: "ms",
    },
    ...{ flag: "--http-idempotency-window-ms <ms>", variable: "HTTP_IDEMPOTENCY_WINDOW_MS" },
    reason:
      "how long they are remembered, and so how late a retry may come; keys in a window are what is taken for good",
  },
  "http.readyMsMax": {
    ...{ kind: integer(1, dayMs), default: defaultLimits.readyMsMax, unit: "ms" },
    ...{ flag: "--http-ready-ms-max <ms>", variable: "HTTP_READY_MS_MAX" },
    reason: "after so long /readyz says yes though not all peers were met",
  },
  "http.logKeys": {
    ...{ kind: yesOrNo, default: false, flag: "--http-log-keys", variable: "HTTP_LOG_KEYS" },
    reason: "whether lines about requests have collections and keys, which may be personal",
  },
};
