/** A route: what it takes and gives, and what it does. The OpenAPI document is made of the same. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { covers, type Grant } from "../access.ts";
import { decodeSegment, match, type Pattern } from "./path.ts";
import { Refusal } from "./problem.ts";

/** Who may ask: anybody, whoever was admitted, or who may observe. Rights to keys are checked by the route. */
export type Access = "anybody" | "admitted" | "observer";

/** An answer, or that somebody has taken the response over. */
export type Reply = Answer | { readonly kind: "taken" };

/** An answer that is sent as a whole. */
export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Absent: there is none. */
  readonly body?: string;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** Sorts of requests that are bounded apart. */
export type Sort = "escalated" | "waiting" | "stream";

/** One request, as a route sees it. */
export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly grant: Grant;
  /** Raw, as the path has them. */
  readonly segments: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Empty if there is none. */
  readonly body: Buffer;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** What the path is, for fingerprints. */
  readonly path: string;
  /** The request goes on as one of this sort, if there is room. @throws Refusal */
  goOnAs(sort: Sort): void;
}

/** A parameter of the query, or a header. */
export interface Parameter {
  readonly description: string;
  readonly schema: object;
}

/** What a route says of itself. */
export interface Described {
  readonly summary: string;
  readonly query?: Readonly<Record<string, Parameter>>;
  readonly headers?: Readonly<Record<string, Parameter>>;
  /** JSON Schema of the body; absent: it takes none. */
  readonly body?: object;
  /** Whether it may be left out. */
  readonly isBodyOptional?: boolean;
  /** JSON Schema of what 200 answers; absent: 204, or no JSON. */
  readonly answer?: object;
  /** Its content type, if that is no JSON. */
  readonly answerType?: string;
  /** Statuses it may refuse with, besides those that every route has. */
  readonly refusals: readonly number[];
}

/** One route. */
export interface Route extends Described {
  readonly id: string;
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly pattern: Pattern;
  readonly access: Access;
  run(call: Call): Reply | Promise<Reply>;
}

/** What a path leads to. */
export interface Found {
  /** All routes of that path, of whatever method. */
  readonly routes: readonly Route[];
  readonly segments: Readonly<Record<string, string>>;
}

/** Routes by the number of their segments, and by the last one where that is no name. */
export class RouteTable {
  readonly #alike = new Map<string, Route[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const { segments } = route.pattern;
      const last = segments.at(-1);
      const place = placeOf(segments.length, last?.kind === "literal" ? last.text : undefined);
      const alike = this.#alike.get(place);
      if (alike) alike.push(route);
      else this.#alike.set(place, [route]);
    }
  }

  /** The routes of a path; none if it has none. O(routes of that shape). */
  find(path: string): Found {
    const given = path.slice(1).split("/");
    const { length } = given;
    const byLast = this.#among(this.#alike.get(placeOf(length, given.at(-1))), given);
    return byLast ?? this.#among(this.#alike.get(placeOf(length, undefined)), given) ?? nowhere;
  }

  #among(alike: readonly Route[] | undefined, given: readonly string[]): Found | undefined {
    for (const { pattern } of alike ?? []) {
      const segments = match(pattern, given);
      if (!segments) continue;
      const routes = alike?.filter((route) => route.pattern.text === pattern.text) ?? [];
      return { routes, segments };
    }
    return undefined;
  }
}

const nowhere: Found = { routes: [], segments: {} };

const placeOf = (length: number, last: string | undefined): string =>
  last === undefined ? `${length}` : `${length}/${last}`;

/** The name at a place of the path. @throws Refusal when it is not encoded as it should be. */
export const nameIn = ({ segments }: Pick<Call, "segments">, place: string): string =>
  decodeSegment(segments[place] ?? "");

/** An answer of JSON text; without, of nothing. */
export const answer = (
  body: string | undefined,
  headers: Readonly<Record<string, string>> = {},
): Answer =>
  body === undefined
    ? { kind: "answer", status: 204, headers }
    : { kind: "answer", status: 200, headers, body };

/** @throws Refusal when the grant does not have it; nothing is told about what is there. */
export function assertMay(
  { grant }: Pick<Call, "grant">,
  right: "read" | "write",
  { collection, key }: { readonly collection: string; readonly key: string },
): void {
  if (covers(grant[right], collection, key)) return;
  throw new Refusal("TRELLIS_FORBIDDEN", `there is no right to ${right} this`);
}
