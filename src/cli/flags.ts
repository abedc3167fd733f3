/** Reads what is given to flags and in the environment; what is wrong is said in one sentence. */
import { InvalidArgumentError } from "commander";
import { UsageError } from "../errors.ts";

/** A parser of integers in a range, for `Option.argParser`. */
export const integer =
  (min: number, max: number) =>
  (text: string): number => {
    const value = /^\d{1,15}$/u.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It is not an integer from ${min} to ${max}.`);
  };

/** Adds one URL of a peer to those before it. */
export function peerUrl(text: string, before: readonly string[] = []): readonly string[] {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPeer = url?.protocol === "ws:" || url?.protocol === "wss:";
  if (!isPeer || url.username !== "" || url.hash !== "") {
    throw new InvalidArgumentError(
      "It is not a URL such as ws://127.0.0.1:7001 or wss://peer.example:7001.",
    );
  }
  return before.includes(text) ? before : [...before, text];
}

/** The URL of a peer that is asked over HTTP, which is at the port of its links. */
export function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isHttp = url !== undefined && /^(?:ws|http)s?:$/u.test(url.protocol);
  if (!isHttp || url.username !== "" || url.hash !== "") {
    throw new InvalidArgumentError("It is not a URL such as http://127.0.0.1:7001.");
  }
  return text;
}

/** Whether what names a replica is the URL of a peer, not a directory. */
export const isUrl = (place: string): boolean => place.includes("://");

/** A directory, or the URL of a peer. */
export function replicaPlace(text: string): string {
  if (isUrl(text)) peerUrl(text);
  else if (text === "") throw new InvalidArgumentError("It is no directory.");
  return text;
}

/**
 * Not checked where flags are read: what is wrong there is printed, and this is a secret.
 * @throws UsageError
 */
export function checkToken(token: string): void {
  if (/^[\w.~+/-]{1,1024}=*$/u.test(token)) return;
  throw new UsageError(
    "the token (--token or TRELLIS_TOKEN) is empty or has more than letters, digits and -._~+/",
  );
}
