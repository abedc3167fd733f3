/** What a request says of who sends it, before anybody has judged it. */
import type { IncomingMessage } from "node:http";
import { TLSSocket } from "node:tls";
import type { ConnectionRequest } from "../door.ts";
import { UsageError } from "../errors.ts";

/** Origins that may be allowed. */
export const allowedOriginsMax = 1_024;

/**
 * Who asks. The token of a header goes before one of the query, which is looked at only if `inQuery` says so: URLs
 * end up in the logs of proxies.
 */
export function asked(request: IncomingMessage, inQuery: boolean): ConnectionRequest {
  const { socket, headers } = request;
  const token =
    headers.authorization === undefined && inQuery
      ? tokenOfQuery(request.url ?? "")
      : /^bearer +(\S+) *$/iu.exec(headers.authorization ?? "")?.[1];
  const certificate = certificateOf(socket);
  return {
    remoteAddress: socket.remoteAddress ?? "",
    ...(token === undefined ? {} : { token }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

function tokenOfQuery(url: string): string | undefined {
  const at = url.indexOf("?");
  const token = at === -1 ? null : new URLSearchParams(url.slice(at)).get("token");
  return token !== null && /^\S+$/u.test(token) ? token : undefined;
}

function certificateOf(socket: IncomingMessage["socket"]): ConnectionRequest["certificate"] {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const { subject, fingerprint256 } = socket.getPeerCertificate();
  if (fingerprint256 === undefined) return undefined;
  const { CN } = subject;
  return { commonName: Array.isArray(CN) ? CN.join(",") : (CN ?? ""), fingerprint256 };
}

/** Whether it is an origin, exactly as browsers say it. */
export const isOrigin = (text: string): boolean =>
  /^https?:/u.test(text) && URL.canParse(text) && new URL(text).origin === text;

/** @throws UsageError for what is no list of origins */
export function checkOrigins(origins: readonly string[]): void {
  if (origins.length > allowedOriginsMax) {
    throw new UsageError(
      `listen.allowedOrigins has ${origins.length} entries, at most ${allowedOriginsMax}`,
    );
  }
  const wrong = origins.find((origin) => !isOrigin(origin));
  if (wrong === undefined) return;
  throw new UsageError(
    `listen.allowedOrigins: ${JSON.stringify(wrong)} is no origin, such as https://app.example.com`,
  );
}
