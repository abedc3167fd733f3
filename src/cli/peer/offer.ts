/** What a peer offers at its port besides links, and where its figures go. */
import { dashboard } from "../../http/dashboard.ts";
import { serveHttp } from "../../http.ts";
import type { Logger } from "../../telemetry.ts";
import type { Offer } from "./running.ts";
import { httpLimits, type PeerSettings } from "./settings.ts";

/** HTTP, as the settings have it. Metrics are put in here: `telemetry`, and `metrics` of `serveHttp`. */
export function offerOf(settings: PeerSettings, logger: Logger): Offer {
  if (!settings["http.enabled"]) return {};
  const limits = Object.fromEntries(httpLimits.map((name) => [name, settings[`http.${name}`]]));
  return {
    serve: (replica) =>
      serveHttp(replica, {
        ...limits,
        ...{ logger, logKeys: settings["http.logKeys"] },
        ...(settings["http.dashboard"] && { page: dashboard }),
        // There is no waiting for nothing, but the least that there is.
        drainMsMax: Math.max(1, settings.drainMs),
      }),
  };
}
