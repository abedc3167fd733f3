/**
 * What a refused request is answered, as RFC 9457 has it. The codes are those of our errors, and a few that
 * only HTTP needs; each has one status, in one table, which does not compile with an error left out.
 */
import { STATUS_CODES } from "node:http";
import type * as errors from "../errors.ts";
import { TrellisError } from "../errors.ts";

type Errors = typeof errors;

/** The codes of all errors that Trellis throws. */
export type ErrorClassCode = {
  [N in keyof Errors]: Errors[N] extends new (...given: never) => infer E
    ? E extends { readonly code: infer C extends string }
      ? C
      : never
    : never;
}[keyof Errors];

/** What an error becomes. */
interface Row {
  readonly status: number;
  /** When to ask again, in ms, unless the error tells. */
  readonly retryAfterMs?: number;
  /** The error's fields that clients are told. */
  readonly data: readonly string[];
  /** Told in place of its message, which names what is no business of clients. */
  readonly detail?: string;
}

/** By code. 503 says: nothing happened, ask again; 504: it may have happened. */
export const rows: { readonly [C in ErrorClassCode]: Row } = {
  TRELLIS_USAGE: { status: 400, data: [] },
  TRELLIS_INVALID_VALUE: { status: 422, data: ["reason", "path"] },
  TRELLIS_COUNTER_RANGE: { status: 422, data: ["collection", "key", "by", "value"] },
  TRELLIS_CLOSED: { status: 503, retryAfterMs: 5_000, data: [] },
  TRELLIS_INSUFFICIENT: { status: 409, data: ["collection", "key", "requested", "available"] },
  TRELLIS_RIGHTS_UNAVAILABLE: {
    status: 503,
    retryAfterMs: 1_000,
    data: ["collection", "key", "requested", "holders"],
  },
  TRELLIS_ALREADY_CLAIMED: { status: 409, data: ["collection", "key", "owner"] },
  TRELLIS_CONFLICT: { status: 409, data: ["held", "forgotten"] },
  TRELLIS_STALE_TOKEN: { status: 409, data: ["token", "installed"] },
  TRELLIS_LEASE_LOST: { status: 503, retryAfterMs: 1_000, data: ["token"] },
  TRELLIS_LOCK_TIMEOUT: { status: 503, retryAfterMs: 1_000, data: ["backend", "waitMs"] },
  TRELLIS_LOCK_UNAVAILABLE: { status: 503, retryAfterMs: 2_000, data: ["backend"] },
  TRELLIS_UNKNOWN_OUTCOME: { status: 504, data: ["operationId"] },
  TRELLIS_STORE_ROLLED_BACK: { status: 500, data: [] },
  TRELLIS_WAIT_TIMEOUT: { status: 503, retryAfterMs: 1_000, data: ["waitMs"] },
  TRELLIS_VERSION_LOST: { status: 410, data: ["actor", "sequence"] },
  TRELLIS_OVERLOADED: { status: 429, retryAfterMs: 1_000, data: ["retryAfterMs"] },
  TRELLIS_CLOCK_SKEW: { status: 500, data: ["skewMs", "boundMs"] },
  TRELLIS_SCHEMA_MISMATCH: { status: 409, data: ["collection", "ours", "theirs"] },
  TRELLIS_PROTOCOL: { status: 500, data: ["reason"] },
  TRELLIS_UNAUTHORIZED: { status: 401, data: [] },
  TRELLIS_STORAGE: {
    status: 503,
    retryAfterMs: 2_000,
    data: [],
    detail: "the disk of this peer refuses: what was written is in memory, and may not survive",
  },
  TRELLIS_CORRUPT_STORAGE: {
    status: 500,
    data: [],
    detail: "this peer, or its lock store, holds what was not written so",
  },
};

/** Codes that only HTTP has. */
export const httpRows = {
  TRELLIS_MALFORMED_REQUEST: 400,
  TRELLIS_UNAUTHENTICATED: 401,
  TRELLIS_FORBIDDEN: 403,
  TRELLIS_NOT_FOUND: 404,
  TRELLIS_METHOD_NOT_ALLOWED: 405,
  TRELLIS_REQUEST_TIMEOUT: 408,
  TRELLIS_PRECONDITION_FAILED: 412,
  TRELLIS_BODY_TOO_LARGE: 413,
  TRELLIS_UNSUPPORTED_MEDIA_TYPE: 415,
  TRELLIS_KEY_REUSED: 422,
  TRELLIS_PRECONDITION_REQUIRED: 428,
  TRELLIS_TOO_MANY_REQUESTS: 429,
  TRELLIS_INTERNAL: 500,
  TRELLIS_UNAVAILABLE: 503,
} as const;

/** A code that only HTTP has. */
export type HttpCode = keyof typeof httpRows;

/** What else a refusal says. */
export interface RefusalOptions {
  readonly retryAfterMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Why it was shed, for the count of sheds. */
  readonly shed?: string;
}

/** A request that is refused, and why. */
export class Refusal extends Error {
  readonly code: HttpCode;
  readonly options: RefusalOptions;

  constructor(code: HttpCode, detail: string, options: RefusalOptions = {}) {
    super(detail);
    this.code = code;
    this.options = options;
  }
}

/** An answer to a refused request, but for its body's encoding. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The members of the problem's JSON. */
  readonly members: Readonly<Record<string, unknown>>;
  /** Whether it is a bug of ours: then the detail tells nothing. */
  readonly isInternal: boolean;
  readonly shed: string | undefined;
}

/** What an error is answered with. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Refusal) {
    const { code, message, options } = error;
    return problem(httpRows[code], { code, detail: message, ...options });
  }
  if (error instanceof TrellisError && Object.hasOwn(rows, error.code)) {
    const row: Row = rows[error.code as ErrorClassCode];
    const told = "retryAfterMs" in error ? error.retryAfterMs : undefined;
    const retryAfterMs = typeof told === "number" ? told : row.retryAfterMs;
    const { code } = error;
    const detail = row.detail ?? error.message;
    const retry = retryAfterMs === undefined ? {} : { retryAfterMs };
    return problem(row.status, { code, detail, ...retry, data: dataOf(error, row.data) });
  }
  const detail = "something went wrong here; whether the request took effect is not known";
  return { ...problem(500, { code: "TRELLIS_INTERNAL", detail }), isInternal: true };
}

function problem(
  status: number,
  {
    code,
    detail,
    retryAfterMs,
    headers,
    shed,
    data,
  }: RefusalOptions & {
    readonly code: string;
    readonly detail: string;
    readonly data?: Readonly<Record<string, unknown>>;
  },
): Problem {
  const retry: Readonly<Record<string, string>> =
    retryAfterMs === undefined
      ? {}
      : { "retry-after": String(Math.max(1, Math.ceil(retryAfterMs / 1_000))) };
  const title = STATUS_CODES[status] ?? "Error";
  return {
    ...{ status, code, shed, isInternal: false },
    headers: { ...retry, ...headers },
    members: { type: "about:blank", title, status, code, detail, ...data },
  };
}

/** The fields that are named, as far as there are such; what is no safe number as text. */
function dataOf(error: TrellisError, names: readonly string[]): Readonly<Record<string, unknown>> {
  const fields = new Map<string, unknown>(Object.entries(error));
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = fields.get(name);
      if (value === undefined) return [];
      return [[name, typeof value === "bigint" ? String(value) : value]];
    }),
  );
}
