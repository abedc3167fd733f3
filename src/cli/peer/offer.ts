/** What a peer offers at its port besides links, and where its figures go. */
import { dashboard } from "../../http/dashboard.ts";
import { serveHttp } from "../../http.ts";
import { prometheusTelemetry } from "../../telemetry/prometheus.ts";
import type { Logger } from "../../telemetry.ts";
import type { Offer } from "./running.ts";
import { httpLimits } from "./http-settings.ts";
import type { PeerSettings } from "./settings.ts";

/** HTTP, the dashboard and metrics, as the settings have them. */
export function offerOf(settings: PeerSettings, logger: Logger): Offer {
  const telemetry = settings["metrics.enabled"] ? prometheusTelemetry() : undefined;
  const figures = telemetry && { telemetry };
  if (!settings["http.enabled"]) return { ...figures };
  const limits = Object.fromEntries(httpLimits.map((name) => [name, settings[`http.${name}`]]));
  return {
    ...figures,
    serve: (replica) =>
      serveHttp(replica, {
        ...limits,
        ...figures,
        ...(telemetry && { metrics: telemetry }),
        ...(settings["http.dashboard"] && { page: dashboard }),
        ...{ logger, logKeys: settings["http.logKeys"] },
        // There is no waiting for nothing, but the least that there is.
        drainMsMax: Math.max(1, settings.drainMs),
      }),
  };
}
