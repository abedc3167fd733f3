/** What bodies consist of: checked here, described for the OpenAPI document here too. */
import type { Name } from "../crdt/data-type.ts";
import { InvalidValueError } from "../errors.ts";

/** The longest wait that a request may ask for, in ms. */
export const waitMsMax = 30_000;

/** The members that bodies of operations have. */
export type MemberName = "by" | "value" | "element" | "owner" | "waitMs" | "atMs" | "limit";

/** Which of them a body has. */
export type Members = { readonly [M in MemberName]?: "required" | "optional" };

/** They as JSON Schema has them. */
export const memberSchemas: { readonly [M in MemberName]: object } = {
  by: {
    type: "integer",
    minimum: 1,
    maximum: Number.MAX_SAFE_INTEGER,
    default: 1,
    description: "By how much.",
  },
  value: { description: "Any JSON value, at most 1 MiB and 64 levels." },
  element: {
    type: ["string", "number", "boolean", "null"],
    description: "An element of a set; 1 and '1' differ.",
  },
  owner: { type: "string", maxLength: 1_024, description: "Who owns the name." },
  waitMs: {
    type: "integer",
    minimum: 0,
    maximum: waitMsMax,
    default: 5_000,
    description: "How long to wait, in ms; 0 does not.",
  },
  atMs: {
    type: ["integer", "null"],
    minimum: 0,
    description: "When, in ms since the Unix epoch, at most ten years ahead; null for never.",
  },
  limit: {
    type: "integer",
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
    description: "What the count must not come above; absent: counts in any case.",
  },
};

/** What a body said, with the defaults of what it did not. */
export interface Told {
  readonly by: number;
  readonly value: unknown;
  readonly element: Name;
  readonly owner: string;
  readonly waitMs: number | undefined;
  /** Infinity for never. */
  readonly atMs: number;
  readonly limit: number | undefined;
}

/**
 * Reads a body's members. What a key, element or value may be is checked where it is stored.
 * @throws InvalidValueError for one that is missing, unknown or of another type.
 */
export function toldBy(body: Readonly<Record<string, unknown>>, members: Members): Told {
  for (const name of Object.keys(body)) {
    if (!Object.hasOwn(members, name)) throw invalid(name, "is not part of this operation");
  }
  for (const [name, need] of Object.entries(members)) {
    if (need === "required" && !Object.hasOwn(body, name)) throw invalid(name, "is missing");
  }
  const { by = 1, value, element = null, owner = "", waitMs, atMs = null, limit } = own(body);
  if (typeof by !== "number" || !Number.isSafeInteger(by) || by < 1) {
    throw invalid("by", "is not a positive safe integer");
  }
  if (typeof owner !== "string") throw invalid("owner", "is not a string");
  if (element !== null && typeof element === "object") throw invalid("element", "is no element");
  const times = { waitMs: checkWait(waitMs), atMs: checkTime(atMs) };
  return { by, value, owner, element: element as Name, ...times, limit: checkLimit(limit) };
}

function checkTime(atMs: unknown): number {
  if (atMs === null) return Number.POSITIVE_INFINITY;
  if (typeof atMs === "number" && Number.isSafeInteger(atMs) && atMs >= 0) return atMs;
  throw invalid("atMs", "is no time in ms since the Unix epoch, nor null");
}

function checkLimit(limit: unknown): number | undefined {
  if (limit === undefined) return undefined;
  if (typeof limit === "number" && Number.isSafeInteger(limit) && limit >= 0) return limit;
  throw invalid("limit", "is not a non-negative safe integer");
}

function checkWait(waitMs: unknown): number | undefined {
  if (waitMs === undefined) return undefined;
  const isWait = typeof waitMs === "number" && waitMs >= 0 && waitMs <= waitMsMax;
  if (isWait) return waitMs;
  throw invalid("waitMs", `is not between 0 and ${waitMsMax}`);
}

/** Only its own members: a body inherits nothing. */
const own = (body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
  Object.assign(Object.create(null) as Record<string, unknown>, body);

const invalid = (path: string, reason: string): InvalidValueError =>
  new InvalidValueError(`${JSON.stringify(path.slice(0, 64))} ${reason}; nothing was changed`, {
    ...{ path: path.slice(0, 64), reason },
  });
