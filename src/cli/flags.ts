/** Reads what is given to flags and in the environment; what is wrong is said in one sentence. */
import { InvalidArgumentError } from "commander";

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
  if (url?.protocol !== "ws:" || url.username !== "" || url.hash !== "") {
    throw new InvalidArgumentError("It is not a URL such as ws://127.0.0.1:7001.");
  }
  return before.includes(text) ? before : [...before, text];
}
