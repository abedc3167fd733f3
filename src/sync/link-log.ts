/** The line that a link leaves in the log when it ends: loud where somebody has to do something. */
import type { Logger } from "../telemetry.ts";
import type { Link } from "./link.ts";
import { isRefusal, type LinkEnd } from "./refusal.ts";

/** Which link a line is about: its number here, its peer, and the address if we dialed. */
const linkFields = ({ url, peer, actor, number }: Link): object => ({
  ...{ peer: peer?.name, actor, link: number, url },
});

/** Logs that a link streams. */
export const logStart = (logger: Logger, link: Link): void =>
  logger.debug(linkFields(link), "a link streams");

/** Logs how a link ended. */
export function logEnd(logger: Logger, link: Link, end: LinkEnd): void {
  const { code, reason, by, error } = end;
  const fields = { ...linkFields(link), code, by, ...(error ? { err: error } : {}) };
  const line = `a link ended: ${reason}`;
  if (code === "internal" || code === "clone") logger.error(fields, line);
  else if (isRefusal(end) || code === "malformed" || code === "protocol") logger.warn(fields, line);
  else logger.debug(fields, line);
}
