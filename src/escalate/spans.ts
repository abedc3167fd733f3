/**
 * What spans say of guards: which backend, which collection, and what came of it. Never a value, and the key
 * only where the user asked for it. Nothing here is done while nobody takes spans.
 */
import {
  ConflictError,
  LeaseLostError,
  StaleTokenError,
  TrellisError,
  UnknownOutcomeError,
} from "../errors.ts";
import {
  type Attributes,
  type Carried,
  type Span,
  type SpanPlace,
  spanned,
  type Telemetry,
  type Tracer,
} from "../telemetry.ts";
import type { Lease, LockBackend } from "./locks.ts";

/** How an operation goes, as `explain()` has it; `lock` is a lock for what is outside. */
export type SpanRoute = "escrow" | "fenced" | "lock";

/** What a resource guards, by the first part of its name. */
const routes: Readonly<Record<string, SpanRoute>> = {
  value: "fenced",
  claim: "fenced",
  pool: "escrow",
  once: "escrow",
  lock: "lock",
};

/** The longest name of a collection that a span has, in code units. */
const collectionMax = 256;

/** What a span says of the guard that it is about. O(length of the name). */
export function guardAttributes(
  tracer: Tracer | undefined,
  backend: string,
  resource: string,
): Attributes {
  if (tracer === undefined) return {};
  const keys = {
    "trellis.backend": backend,
    ...(tracer.keys === true ? { "trellis.resource": resource } : {}),
  };
  const end = resource.indexOf("/");
  const route = end < 0 ? undefined : routes[resource.slice(0, end)];
  if (route === undefined) return keys;
  if (route === "lock") return { "trellis.route": route, ...keys };
  const name = resource.slice(end + 1, resource.indexOf("/", end + 1));
  return { "trellis.route": route, "trellis.collection": plain(name), ...keys };
}

/** The name of a collection, out of that of a guard. */
function plain(escaped: string): string {
  try {
    return decodeURIComponent(escaped).slice(0, collectionMax);
  } catch {
    // A fenced collection escapes less than all, so what is there need not be an escape.
    return escaped.slice(0, collectionMax);
  }
}

/** Who waits, and below which span. */
export interface Traced {
  readonly under: Carried;
  readonly traceparent: string | undefined;
}

/** The span that somebody waits in, to be found again when his turn has come. */
export const tracedHere = ({ tracer }: Telemetry): Traced | undefined =>
  tracer && { under: tracer.carry(), traceparent: tracer.present() };

/** Spans that one for several has links to. */
const linksMax = 32;

/** Where one span for all of them belongs: below the first, and linked to the others. */
export function placeOf(all: readonly (Traced | undefined)[]): SpanPlace {
  const links = all.slice(1, linksMax + 1).flatMap((traced) => traced?.traceparent ?? []);
  return links.length === 0 ? {} : { links };
}

/** Runs the waiting for a lock in a span, which has its token then. */
export const acquireSpan = (
  telemetry: Telemetry,
  attributes: Attributes,
  acquire: () => Promise<Lease>,
): Promise<Lease> => {
  if (telemetry.tracer === undefined) return acquire();
  return spanned(telemetry, "trellis.acquire", attributes, async (span) => {
    const lease = await acquire();
    span.set({ "trellis.token": String(lease.token) });
    return lease;
  });
};

/** What a write came to, as one of few words. */
function outcomeOf(error: unknown): string {
  if (error instanceof ConflictError) return error.held === true ? "held" : "conflict";
  if (error instanceof StaleTokenError) return "stale";
  if (error instanceof LeaseLostError) return "lost";
  return error instanceof UnknownOutcomeError ? "unknown" : "failed";
}

type Answer<T> =
  | { readonly kind: "written"; readonly result: T }
  | { readonly kind: "refused"; readonly error: unknown };

/**
 * Runs a write in a span with its outcome (`trellis.outcome`): `written`, `conflict`, `held`, `stale` and `lost`
 * are answers, `unknown` and `failed` are errors of the span.
 */
export async function writeSpan<T>(
  { tracer }: Telemetry,
  name: string,
  attributes: Attributes,
  write: () => Promise<T>,
  place?: SpanPlace,
): Promise<T> {
  if (tracer === undefined) return write();
  const run = async (span: Span): Promise<Answer<T>> => {
    try {
      const result = await write();
      span.set({ "trellis.outcome": "written" });
      return { kind: "written", result };
    } catch (error) {
      const outcome = outcomeOf(error);
      span.set({ "trellis.outcome": outcome });
      if (outcome === "failed" || outcome === "unknown") throw error;
      if (error instanceof TrellisError) span.set({ "error.code": error.code });
      return { kind: "refused", error };
    }
  };
  const answer = await tracer.span(name, attributes, run, place);
  if (answer.kind === "refused") throw answer.error;
  return answer.result;
}

/** What a span says of a commit of several guards. */
export function commitAttributes(
  { tracer }: Telemetry,
  { name }: LockBackend,
  targets: readonly { readonly resource: string }[],
): Attributes {
  const [first] = targets;
  if (tracer === undefined || first === undefined) return {};
  return {
    ...guardAttributes(tracer, name, first.resource),
    "trellis.callers": 1,
    "trellis.resources": targets.length,
  };
}
