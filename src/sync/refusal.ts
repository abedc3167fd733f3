/** Why a link ends, and which hellos are refused. */
import {
  ClockSkewError,
  OverloadedError,
  ProtocolError,
  SchemaMismatchError,
  UnauthorizedError,
} from "../errors.ts";
import { MalformedError } from "../store/bytes.ts";
import { ClonedError } from "../store/exchange.ts";
import { mismatch } from "../store/schema.ts";
import { type EndCode, type Hello, protocolVersions } from "./message.ts";

/** Why a link is over. */
export interface LinkEnd {
  readonly code: EndCode;
  /** For people. */
  readonly reason: string;
  /** Who ended it. */
  readonly by: "us" | "peer" | "network";
  readonly error?: Error;
}

/** What a hello is judged by, besides what it says. */
export interface Acquaintance {
  /** Our wall clock when the hello came, in ms since the Unix epoch. */
  readonly wallMs: number;
  /** How far apart two clocks may be, in ms. */
  readonly skewMsMax: number;
  /** Whether the hello's nonce is one that we drew ourselves: then we talk to ourselves. */
  readonly isOurNonce: boolean;
}

/** Why `theirs` is refused, or undefined if it is fine. */
export function refusal(
  ours: Hello,
  theirs: Hello,
  acquaintance: Acquaintance,
): LinkEnd | undefined {
  return (
    wrongVersion(theirs) ??
    (ours.isObserver === true || theirs.isObserver === true
      ? nobodyToAsk(ours, theirs)
      : (sameActor(ours, theirs, acquaintance.isOurNonce) ??
        wrongClock(theirs, acquaintance) ??
        wrongType(ours, theirs)))
  );
}

/** An observer writes nothing, so its actor, clock and types may be what they are. */
const nobodyToAsk = (ours: Hello, theirs: Hello): LinkEnd | undefined =>
  ours.isObserver === theirs.isObserver ? broken("both ends only observe") : undefined;

function wrongVersion({ versions, frameVersion }: Hello): LinkEnd | undefined {
  const { min, max } = protocolVersions;
  if (versions.max < min || versions.min > max) {
    return broken(`it speaks protocol ${versions.min} to ${versions.max}, we ${min} to ${max}`);
  }
  return frameVersion < 1 ? broken(`it reads frames of version ${frameVersion}`) : undefined;
}

function sameActor(ours: Hello, theirs: Hello, isOurNonce: boolean): LinkEnd | undefined {
  if (theirs.actor !== ours.actor) return undefined;
  if (isOurNonce) return { code: "self", reason: "this replica dialed itself", by: "us" };
  return cloned(`another process has our actor ${ours.actor}`);
}

function wrongClock(theirs: Hello, { wallMs, skewMsMax }: Acquaintance): LinkEnd | undefined {
  const skewMs = theirs.wallMs - wallMs;
  if (Math.abs(skewMs) <= skewMsMax) return undefined;
  const which = skewMs > 0 ? "ahead of" : "behind";
  const error = new ClockSkewError(
    `the clock of ${JSON.stringify(theirs.name)} is ${Math.abs(skewMs)} ms ${which} ours, at most ` +
      `${skewMsMax} ms allowed; the link was refused: set the clocks right`,
    { skewMs, boundMs: skewMsMax },
  );
  return { code: "clock", reason: error.message, by: "us", error };
}

function wrongType(ours: Hello, theirs: Hello): LinkEnd | undefined {
  const tags = new Map(ours.collections.map(({ name, tag }) => [name, tag]));
  for (const { name, tag } of theirs.collections) {
    const known = tags.get(name);
    if (known === undefined || known === tag) continue;
    const error = mismatch(name, known, tag);
    return { code: "schema", reason: error.message, by: "us", error };
  }
  return undefined;
}

/** How a link ends that we close on purpose. */
export const leaving: LinkEnd = { code: "leaving", reason: "the replica closes", by: "us" };

/** The peer wrote, and its token only lets it read. */
export const onlyReads: LinkEnd = {
  code: "unauthorized",
  reason: "the token only allows to read (replicate-read), and there was a write",
  by: "us",
};

/** The peer did what the protocol does not allow. */
export const broken = (reason: string): LinkEnd => ({
  code: "protocol",
  reason,
  by: "us",
  error: protocolError(reason),
});

/** Somebody else writes as our actor: a copy of a running machine, or a snapshot of it. */
export const cloned = (reason: string): LinkEnd => ({ ...broken(reason), code: "clone" });

/** What an error, thrown while a message was taken in, makes of the link. */
export function endOf(error: unknown): LinkEnd {
  if (error instanceof MalformedError) {
    const reason = error.message;
    return { code: "malformed", reason, by: "us", error: protocolError(reason, error) };
  }
  if (error instanceof ClonedError) return cloned(error.message);
  if (error instanceof SchemaMismatchError) {
    return { code: "schema", reason: error.message, by: "us", error };
  }
  if (error instanceof OverloadedError) {
    return { code: "overloaded", reason: error.message, by: "us", error };
  }
  if (error instanceof ProtocolError) {
    return { code: "protocol", reason: error.reason, by: "us", error };
  }
  const reason = error instanceof Error ? error.message : String(error);
  const fault: LinkEnd = { code: "internal", reason: `a fault of ours: ${reason}`, by: "us" };
  return error instanceof Error ? { ...fault, error } : fault;
}

/** What the end of a connection makes of the link. */
export function endOfConnection(end: { readonly reason: string; readonly error?: Error }): LinkEnd {
  const { reason, error } = end;
  if (error instanceof UnauthorizedError)
    return { code: "unauthorized", reason, by: "peer", error };
  if (error instanceof OverloadedError) return { code: "overloaded", reason, by: "peer", error };
  if (error instanceof ProtocolError) return { code: "protocol", reason, by: "us", error };
  return { code: "network", reason, by: "network" };
}

const refusals: ReadonlySet<EndCode> = new Set(["schema", "clock", "unauthorized"]);

/** Whether nothing will change until somebody does something: no quick retry, and shown so. */
export const isRefusal = ({ code }: LinkEnd): boolean => refusals.has(code);

/** The error behind such an end. */
export const protocolError = (reason: string, cause?: Error): ProtocolError =>
  new ProtocolError(`the peer broke the protocol: ${reason}; the link was ended`, {
    reason,
    ...(cause ? { cause } : {}),
  });
