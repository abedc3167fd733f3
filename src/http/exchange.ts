/** One request and its answer: who asks, how it is bounded, how it is answered and told of. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Grant } from "../access.ts";
import type { Environment } from "../environment.ts";
import { hasBody } from "./body.ts";
import type { HttpLimits } from "./options.ts";
import { type Problem, Refusal } from "./problem.ts";
import type { Answer, Call, Route, Sort } from "./route.ts";
import type { Slot, Slots } from "./slots.ts";
import { nobody } from "./system-routes.ts";

/** Slots by sort; `turn` are those of requests that wait for nothing. */
export type AllSlots = { readonly [S in Sort | "turn"]: Slots };

/** What it needs of its service. */
export interface ExchangeOptions {
  readonly environment: Environment;
  readonly limits: HttpLimits;
  readonly slots: AllSlots;
  /** For a request that brings no id. */
  readonly newId: () => string;
}

const requestIdPattern = /^[\w.:-]{1,128}$/u;
/** Answers below this are left to the socket without a deadline. */
const smallBytes = 16 * 1024;
const shedRetryMs = 1_000;

/** One request. */
export class Exchange implements Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  readonly path: string;
  readonly #search: string;
  #query: URLSearchParams | undefined;
  grant: Grant = nobody;
  /** Undefined before it is found. */
  route: Route | undefined;
  segments: Readonly<Record<string, string>> = {};
  body: Buffer = Buffer.alloc(0);
  readonly startMs: number;
  readonly #options: ExchangeOptions;
  #slot: Slot | undefined;
  #gone: AbortController | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, options: ExchangeOptions) {
    this.request = request;
    this.response = response;
    this.#options = options;
    const { environment } = options;
    this.startMs = environment.monotonic();
    const given = request.headers["x-request-id"];
    this.requestId =
      typeof given === "string" && requestIdPattern.test(given) ? given : options.newId();
    const url = request.url ?? "";
    const mark = url.indexOf("?");
    this.path = mark === -1 ? url : url.slice(0, mark);
    this.#search = mark === -1 ? "" : url.slice(mark + 1);
    response.once("close", () => this.#over());
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.#search);
    return this.#query;
  }

  get signal(): AbortSignal {
    this.#gone ??= new AbortController();
    if (this.response.closed) this.#gone.abort(new Error("the client has gone"));
    return this.#gone.signal;
  }

  /** It begins, if there is room. @throws Refusal */
  begin(): void {
    this.#slot = this.#take("turn");
  }

  /** Says whose it is. @throws Refusal when that one has too many under way. */
  admit(grant: Grant): void {
    this.grant = grant;
    if (this.#slot?.claim(grant.subject) === false) throw tooMany();
  }

  goOnAs(sort: Sort): void {
    const slot = this.#take(sort);
    if (!slot.claim(this.grant.subject)) throw tooMany();
    this.#slot?.free();
    this.#slot = slot;
    if (this.response.closed) slot.free();
  }

  /** Sends an answer. */
  send({ status, headers, body, contentType = "application/json" }: Answer): void {
    const { response } = this;
    const fields: Record<string, string | number> = { ...headers, ...this.#common() };
    if (body !== undefined) {
      fields["content-type"] = contentType;
      fields["content-length"] = Buffer.byteLength(body);
    }
    response.writeHead(status, fields);
    response.end(this.request.method === "HEAD" ? undefined : body);
    this.#endInTime();
  }

  /** Sends why it is refused; nothing if something was sent already. */
  refuse({ status, headers, members }: Problem): void {
    const { response, requestId } = this;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const body = JSON.stringify({ ...members, requestId });
    const contentType = "application/problem+json";
    this.send({ kind: "answer", status, headers, body, contentType });
  }

  #common(): Readonly<Record<string, string>> {
    return {
      "x-request-id": this.requestId,
      "x-content-type-options": "nosniff",
      // What was not read so far is not going to be.
      ...(hasBody(this.request) && !this.request.complete ? { connection: "close" } : {}),
    };
  }

  #take(sort: Sort | "turn"): Slot {
    const slot = this.#options.slots[sort].take();
    if (slot) return slot;
    const what = sort === "turn" ? "requests" : `requests (${sort})`;
    throw new Refusal("TRELLIS_UNAVAILABLE", `too many ${what} at a time; nothing was changed`, {
      ...{ retryAfterMs: shedRetryMs, shed: sort },
    });
  }

  /** A reader that is too slow is cut off: until then its answer takes memory. */
  #endInTime(): void {
    const { response } = this;
    if (response.writableLength <= smallBytes) return;
    const { environment, limits } = this.#options;
    const timer = environment.schedule(limits.responseMsMax, () => response.destroy());
    response.once("close", () => timer.cancel());
  }

  #over(): void {
    this.#slot?.free();
    if (!this.response.writableFinished) this.#gone?.abort(new Error("the client has gone"));
  }
}

const tooMany = (): Refusal =>
  new Refusal(
    "TRELLIS_TOO_MANY_REQUESTS",
    "too many requests of this subject at a time; nothing was changed",
    { retryAfterMs: shedRetryMs, shed: "subject" },
  );
