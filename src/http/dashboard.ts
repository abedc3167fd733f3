/** The dashboard at `/`, for `serveHttp`. */
import { dashboardPage } from "../dashboard/page.ts";
import type { PageHandler } from "./options.ts";

/**
 * Answers `GET /` with the dashboard: one page for whoever comes, which shows what `/v1/events` tells to
 * whoever may observe. Made at the first request, then kept.
 */
export const dashboard: PageHandler = (request, response) => {
  const [path] = (request.url ?? "").split("?");
  if (path !== "/") return false;
  const { html, headers } = dashboardPage();
  response.writeHead(200, { ...headers, "content-length": Buffer.byteLength(html) });
  response.end(request.method === "HEAD" ? undefined : html);
  return true;
};
