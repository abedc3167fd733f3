/** Routes about the peer, not about keys: whether it lives, what it says of itself, what it can do. */
import type { Grant } from "../access.ts";
import { openApiOf } from "./openapi.ts";
import type { Parts } from "./parts.ts";
import { patternOf } from "./path.ts";
import { Refusal } from "./problem.ts";
import { answer, type Route } from "./route.ts";

/** Whoever was not admitted. */
export const nobody: Grant = {
  ...{ subject: "", replicate: "nothing", read: [], write: [], observe: false },
};

/** They of one service; `all` are the routes that the document is about. */
export function systemRoutes(parts: Parts, all: () => readonly Route[]): Route[] {
  const { replica, health } = parts;
  let document: string | undefined;
  return [
    {
      ...{ id: "healthz", method: "GET", pattern: patternOf("/healthz"), access: "anybody" },
      ...{ summary: "Whether the process is up.", refusals: [], answer: { type: "object" } },
      run: () => answer('{"status":"up"}'),
    },
    {
      ...{ id: "readyz", method: "GET", pattern: patternOf("/readyz"), access: "anybody" },
      summary: "Whether it should be sent requests; to an observer also why not, in words.",
      ...{ refusals: [503], answer: { type: "object" } },
      run: ({ grant }) => {
        const { reasons } = health;
        const told = grant.observe ? reasons : reasons.map(({ reason }) => ({ reason }));
        const status = reasons.length === 0 ? "ready" : "not-ready";
        const body = JSON.stringify({ status, reasons: told });
        const headers = { "cache-control": "no-store" };
        if (reasons.length === 0) return { kind: "answer", status: 200, headers, body };
        return { kind: "answer", status: 503, headers: { ...headers, "retry-after": "1" }, body };
      },
    },
    {
      ...{ id: "openapi", method: "GET", pattern: patternOf("/openapi.json"), access: "anybody" },
      ...{ summary: "This document.", refusals: [], answer: { type: "object" } },
      run: () => answer((document ??= JSON.stringify(openApiOf(all())))),
    },
    {
      ...{ id: "metrics", method: "GET", pattern: patternOf("/metrics"), access: "observer" },
      ...{ summary: "The figures, for a scraper.", refusals: [404], answerType: "text/plain" },
      run: async () => {
        const { metrics } = parts;
        if (!metrics) throw new Refusal("TRELLIS_NOT_FOUND", "metrics are not served here");
        const { contentType } = metrics;
        return { ...answer(await metrics.text(), { "cache-control": "no-store" }), contentType };
      },
    },
    {
      ...{ id: "status", method: "GET", pattern: patternOf("/v1/status"), access: "observer" },
      ...{ summary: "What this peer says of itself.", refusals: [], answer: { type: "object" } },
      run: () => answer(JSON.stringify(replica.status()), { "cache-control": "no-store" }),
    },
    {
      ...{ id: "events", method: "GET", pattern: patternOf("/v1/events"), access: "observer" },
      summary: "The status, now and every second, as server-sent events.",
      ...{ refusals: [503], answerType: "text/event-stream" },
      run: (call) => {
        const { statusEvents } = parts;
        const stream = parts.openStream(call);
        statusEvents.add(stream);
        call.response.once("close", () => statusEvents.remove(stream));
        return { kind: "taken" };
      },
    },
    {
      ...{ id: "version", method: "GET", pattern: patternOf("/v1/version"), access: "admitted" },
      summary: "What is held now, to be waited for elsewhere with Trellis-After.",
      refusals: [],
      answer: { type: "object", properties: { version: { type: "string" } } },
      run: () => answer(JSON.stringify({ version: replica.version() })),
    },
  ];
}
