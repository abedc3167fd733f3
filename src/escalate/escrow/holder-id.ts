/**
 * Who holds rights: one opening of a replica. Its id begins with when it was drawn, by its own clock: what
 * forgets ids in their order then knows which it may have forgotten.
 */
import type { Environment } from "../../environment.ts";

/** 32 hexadecimal digits. */
export type HolderId = string;

export const holderIdBytes = 16;
const timeBytes = 6;

/** An id that no other has. */
export function newHolderId(environment: Environment): HolderId {
  const time = Math.max(0, environment.now())
    .toString(16)
    .padStart(timeBytes * 2, "0");
  const drawn = environment.randomBytes(holderIdBytes - timeBytes);
  return time.slice(-timeBytes * 2) + Buffer.from(drawn).toString("hex");
}

/** When it was drawn, in ms since the Unix epoch, by the clock of who drew it. */
export const drawnAtMs = (id: HolderId): number => Number.parseInt(id.slice(0, timeBytes * 2), 16);

export const holderIdToBytes = (id: HolderId): Uint8Array => Buffer.from(id, "hex");

export const holderIdFromBytes = (bytes: Uint8Array): HolderId =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
