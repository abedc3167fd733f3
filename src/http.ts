/**
 * HTTP and events on the port of a replica, for every language and for curl. What it offers is in
 * docs/http.md, and at `/openapi.json`.
 */
import { HttpService } from "./http/service.ts";
import type { HttpOptions } from "./http/options.ts";
import type { ServedReplica } from "./http/served-replica.ts";

export { dashboard } from "./http/dashboard.ts";
export { HttpService } from "./http/service.ts";
export type { HttpLimits, HttpOptions, MetricsText, PageHandler } from "./http/options.ts";
export type { ServedReplica } from "./http/served-replica.ts";

/**
 * Serves a replica that listens. Close the service before the replica.
 * @throws UsageError when the replica does not listen, InvalidValueError for a bound that is none.
 */
export const serveHttp = (replica: ServedReplica, options: HttpOptions = {}): HttpService =>
  new HttpService(replica, options);
