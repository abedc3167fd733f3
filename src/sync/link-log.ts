/** The line that a link leaves in the log when it ends: loud where somebody has to do something. */
import type { Logger } from "../telemetry.ts";
import type { Link } from "./link.ts";
import { isRefusal, type LinkEnd } from "./refusal.ts";

/** Logs how a link ended. */
export function logEnd(logger: Logger, link: Link, end: LinkEnd): void {
  const { code, reason, by, error } = end;
  const fields = {
    url: link.url,
    peer: link.peer?.name,
    actor: link.actor,
    code,
    by,
    ...(error ? { err: error } : {}),
  };
  const line = `a link ended: ${reason}`;
  if (code === "internal" || code === "clone") logger.error(fields, line);
  else if (isRefusal(end) || code === "malformed" || code === "protocol") logger.warn(fields, line);
  else logger.debug(fields, line);
}
