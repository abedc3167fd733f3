/** How a seat says that it has nobody to ask. */
import { LockUnavailableError } from "../../errors.ts";
import type { Claim } from "./standing.ts";

/** A claim, for people. */
export const described = ({ host, authority }: Claim): string =>
  `${host} (${authority.slice(0, 8)})`;

/** Surely nothing was done. */
export const unavailable = (why: string, cause?: unknown): LockUnavailableError =>
  new LockUnavailableError(why, {
    backend: "embedded",
    ...(cause === undefined ? {} : { cause }),
  });

/** No way leads to who has the part. */
export const unreached = (claim: Claim): LockUnavailableError =>
  unavailable(`the lock authority is ${described(claim)}, and no link to it stands`);
