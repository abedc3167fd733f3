/**
 * Why a client is told to go. To y-websocket 4400 to 4499 says that coming back is of no use, and it stops;
 * after every other code it comes back, and the later the more often it was in vain.
 */
import { ClosedError, InvalidValueError, OverloadedError } from "../../errors.ts";

/** A WebSocket close code, and a reason of at most 123 bytes. */
export interface Close {
  readonly code: number;
  readonly reason: string;
}

type Why = "malformed" | "removed" | "tooLarge" | "failed" | "later" | "away";

/** All of them. The last two digits are those that HTTP has for it. */
export const closes: Readonly<Record<Why, Close>> = {
  /** It would send the same again. */
  malformed: { code: 4400, reason: "the bytes are no message or no update" },
  /** It still has what was removed, and would bring it back. */
  removed: { code: 4410, reason: "the document, or a part of it, was removed" },
  tooLarge: { code: 4413, reason: "the message, or the document with it, would be too large" },
  failed: { code: 1011, reason: "the message could not be dealt with" },
  /** Of us, not of the client. */
  later: { code: 1013, reason: "there is no room for the change now" },
  away: { code: 1001, reason: "the replica is closing" },
};

/** What to say to a client whose change could not be taken in. */
export function closeFor(error: unknown): Close {
  if (error instanceof ClosedError) return closes.away;
  if (error instanceof OverloadedError) {
    return error.retryAfterMs === undefined ? closes.tooLarge : closes.later;
  }
  if (error instanceof InvalidValueError) return closes.malformed;
  // Of the library, which found a change that fits nothing.
  return { code: closes.malformed.code, reason: "the update cannot be taken in" };
}
