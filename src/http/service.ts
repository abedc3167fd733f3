/**
 * HTTP over one replica, behind its door. A request passes, in this order: is there room, who asks, where
 * to, is the body what it should be; and only then is anything looked at or done.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Admission } from "../door.ts";
import { type Environment, systemEnvironment } from "../environment.ts";
import { replicaLogger } from "../replica-logger.ts";
import { type Logger, silentTelemetry, spanned, type Telemetry } from "../telemetry.ts";
import { snapshotOf } from "../insight/snapshot-of.ts";
import { readBody } from "./body.ts";
import { EventStream } from "./event-stream.ts";
import { type AllSlots, Exchange } from "./exchange.ts";
import { Health } from "./health.ts";
import { Lateness } from "./lateness.ts";
import { type HttpLimits, type HttpOptions, limitsOf, type PageHandler } from "./options.ts";
import { type Parts, turnVersion } from "./parts.ts";
import { type Problem, problemOf, Refusal } from "./problem.ts";
import { readRoutes } from "./read-routes.ts";
import { RequestMemory } from "./request-memory.ts";
import { RetryGate } from "./retry-gate.ts";
import { answer, type Reply, type Route, RouteTable } from "./route.ts";
import type { ServedReplica } from "./served-replica.ts";
import { Slots } from "./slots.ts";
import { StatusEvents } from "./status-events.ts";
import { systemRoutes } from "./system-routes.ts";
import { watchRoute } from "./watch-route.ts";
import { writeRoutes } from "./write-routes.ts";

/** Who asks whether somebody may come in. */
type Admit = () => Promise<Admission>;

/** HTTP over one replica. */
export class HttpService implements AsyncDisposable {
  readonly #environment: Environment;
  readonly #telemetry: Telemetry;
  readonly #logger: Logger;
  readonly #logsKeys: boolean;
  readonly #limits: HttpLimits;
  readonly #page: PageHandler | undefined;
  readonly #slots: AllSlots;
  readonly #lateness: Lateness;
  readonly #memory: RequestMemory;
  readonly #gate: RetryGate;
  readonly #health: Health;
  readonly #routes: readonly Route[];
  readonly #table: RouteTable;
  readonly #newId: () => string;
  readonly #streams = new Set<EventStream>();
  readonly #exchanges = new Set<Exchange>();
  #rest: (() => void) | undefined;
  #closing: Promise<void> | undefined;

  /** @throws UsageError when the replica does not listen, InvalidValueError for a bound that is none. */
  constructor(replica: ServedReplica, options: HttpOptions) {
    const limits = limitsOf(options);
    const environment = options.environment ?? systemEnvironment;
    this.#limits = limits;
    this.#environment = environment;
    this.#telemetry = options.telemetry ?? silentTelemetry;
    this.#logger = replicaLogger(options, environment);
    this.#logsKeys = options.logKeys === true;
    this.#page = options.page;
    this.#newId = ids(environment);
    const share = limits.perSubjectShare;
    this.#slots = {
      turn: new Slots(limits.requestsMax, share),
      escalated: new Slots(limits.escalatedMax, share),
      waiting: new Slots(limits.waitingMax, share),
      stream: new Slots(limits.streamsMax, share),
    };
    const isDurable = replica.status().storage.kind === "durable";
    // From here on nothing throws: what has a timer is closed with the service.
    replica.serve((request, response, admit) => void this.#take(request, response, admit));
    this.#lateness = new Lateness(environment);
    this.#memory = new RequestMemory({ replica, environment, limits });
    this.#gate = new RetryGate(replica, environment, limits.retryGateMs);
    this.#health = new Health(replica, environment, limits.readyMsMax);
    const notReady = (): string[] => this.#health.reasons.map(({ detail }) => detail);
    const status = (): string => JSON.stringify(snapshotOf(replica, environment, notReady()));
    const parts: Parts = {
      ...{ replica, environment, limits, isDurable, metrics: options.metrics },
      ...{ memory: this.#memory, gate: this.#gate, health: this.#health },
      statusEvents: new StatusEvents(environment, limits.statusMs, {
        status,
        look: () => replica.activity.look(),
      }),
      written: turnVersion(replica, environment),
      openStream: (call) => {
        call.goOnAs("stream");
        return this.#openStream(call.response);
      },
    };
    this.#routes = [
      ...systemRoutes(parts, () => this.#routes),
      ...readRoutes(parts),
      ...writeRoutes(parts),
      watchRoute(parts),
    ];
    this.#table = new RouteTable(this.#routes);
  }

  /** Says at `/readyz` that this peer ends soon; requests are taken as before. */
  drain(): void {
    this.#health.isDraining = true;
  }

  /** Refuses what comes, ends streams, waits for what is under way up to `drainMsMax`. Harmless twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.drain();
    for (const stream of this.#streams) stream.end();
    this.#gate.close();
    this.#health.close();
    this.#memory.close();
    if (this.#exchanges.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#environment.schedule(this.#limits.drainMsMax, resolve);
        this.#rest = () => {
          timer.cancel();
          resolve();
        };
      });
    }
    for (const { response } of this.#exchanges) response.destroy();
    this.#lateness.close();
  }

  // One request.

  /** Never throws. */
  async #take(request: IncomingMessage, response: ServerResponse, admit: Admit): Promise<void> {
    const exchange = new Exchange(request, response, {
      ...{ environment: this.#environment, limits: this.#limits, slots: this.#slots },
      newId: this.#newId,
    });
    response.on("error", () => response.destroy());
    this.#exchanges.add(exchange);
    response.once("close", () => {
      this.#exchanges.delete(exchange);
      if (this.#exchanges.size === 0) this.#rest?.();
    });
    try {
      const reply = await this.#spanned(exchange, () => this.#reply(exchange, admit));
      if (reply.kind === "answer") {
        exchange.send(reply);
        this.#told(exchange, reply.status, undefined);
        if ("idempotency-replayed" in reply.headers) {
          this.#telemetry.count("trellis_idempotent_replays_total");
        }
      } else this.#told(exchange, 200, undefined);
    } catch (error) {
      const problem = problemOf(error);
      exchange.refuse(problem);
      this.#told(exchange, problem.status, { problem, error });
    }
  }

  #spanned(exchange: Exchange, work: () => Promise<Reply>): Promise<Reply> {
    const { tracer } = this.#telemetry;
    if (!tracer) return work();
    const given = exchange.request.headers["traceparent"];
    const method = exchange.request.method ?? "";
    return tracer.follow(typeof given === "string" ? given : undefined, () =>
      spanned(this.#telemetry, "trellis.http", { "http.request.method": method }, async (span) => {
        try {
          const reply = await work();
          span.set({ "http.response.status_code": reply.kind === "answer" ? reply.status : 200 });
          return reply;
        } finally {
          span.set({ "http.route": routeName(exchange), "trellis.request_id": exchange.requestId });
        }
      }),
    );
  }

  async #reply(exchange: Exchange, admit: Admit): Promise<Reply> {
    const { request, path } = exchange;
    if (!path.startsWith("/")) {
      throw new Refusal("TRELLIS_MALFORMED_REQUEST", "the target is no path");
    }
    const { routes, segments } = this.#table.find(path);
    exchange.segments = segments;
    const method = request.method === "HEAD" ? "GET" : request.method;
    exchange.route = routes.find((route) => route.method === method);
    exchange.begin();
    await this.#admit(exchange, admit);
    if (exchange.route) return this.#run(exchange, exchange.route);
    if (routes.length === 0) return this.#elsewhere(exchange);
    const allow = ["OPTIONS", ...routes.map((route) => route.method)];
    if (allow.includes("GET")) allow.push("HEAD");
    const headers = { allow: allow.join(", ") };
    if (method === "OPTIONS") return answer(undefined, headers);
    throw new Refusal("TRELLIS_METHOD_NOT_ALLOWED", "there is no such method here", { headers });
  }

  /** Late, and not because of others on this machine: to shed what little there is would help nobody. */
  get #isOverloaded(): boolean {
    const { lagMsMax, requestsMax } = this.#limits;
    if (this.#lateness.nowMs <= lagMsMax) return false;
    return this.#slots.turn.taken >= Math.ceil(requestsMax * busyShare);
  }

  /** @throws Refusal for whoever may not come in, and for what there is no room for. */
  async #admit(exchange: Exchange, admit: Admit): Promise<void> {
    const { route, request } = exchange;
    const isPage = route === undefined && this.#page !== undefined && isRead(request);
    const isOpen = route?.access === "anybody" || isPage;
    if (this.#closing) throw new Refusal("TRELLIS_UNAVAILABLE", "this peer is closing", closing);
    const isWrite = route !== undefined && route.method !== "GET";
    // A page is for whoever comes, but a probe that shows a token is told more.
    if (isOpen && (isPage || request.headers.authorization === undefined)) return;
    if (isWrite && this.#isOverloaded) {
      throw new Refusal("TRELLIS_UNAVAILABLE", "this peer is overloaded; nothing was changed", {
        ...{ retryAfterMs: 1_000, shed: "lag" },
      });
    }
    const admission = await admit();
    if (admission.kind === "admitted") exchange.admit(admission.grant);
    else if (!isOpen) throw refused(admission);
    if (route?.access === "observer" && !exchange.grant.observe) {
      throw new Refusal("TRELLIS_FORBIDDEN", "there is no right to observe");
    }
  }

  async #run(exchange: Exchange, route: Route): Promise<Reply> {
    const { request } = exchange;
    if (route.method !== "GET") {
      exchange.body = await readBody(request, this.#limits, this.#environment);
    }
    return route.run(exchange);
  }

  /** What has no route: perhaps the page has it. */
  #elsewhere({ request, response }: Exchange): Reply {
    if (isRead(request) && this.#page?.(request, response) === true) return { kind: "taken" };
    throw new Refusal("TRELLIS_NOT_FOUND", "there is nothing at this path");
  }

  #openStream(response: ServerResponse): EventStream {
    const stream = new EventStream(response, this.#limits, this.#environment);
    this.#streams.add(stream);
    this.#telemetry.gauge("trellis_http_streams", this.#streams.size);
    response.once("close", () => {
      this.#streams.delete(stream);
      this.#telemetry.gauge("trellis_http_streams", this.#streams.size);
    });
    return stream;
  }

  // What is told of it.

  #told(
    exchange: Exchange,
    status: number,
    failed: { readonly problem: Problem; readonly error: unknown } | undefined,
  ): void {
    const { request, requestId, grant, startMs } = exchange;
    const route = routeName(exchange);
    const latencyMs = this.#environment.monotonic() - startMs;
    const telemetry = this.#telemetry;
    telemetry.count("trellis_http_requests_total", 1, { route, status: String(status) });
    telemetry.observe("trellis_http_request_ms", latencyMs, { route });
    const shed = failed?.problem.shed;
    if (shed !== undefined) telemetry.count("trellis_http_sheds_total", 1, { reason: shed });
    const { subject, tenant } = grant;
    const fields = {
      ...{ method: request.method, route, status, latencyMs, subject, requestId },
      ...(tenant !== undefined && { tenant }),
      ...(failed && { code: failed.problem.code }),
      ...(this.#logsKeys && { path: exchange.path }),
    };
    if (failed?.problem.isInternal === true) {
      this.#logger.error({ ...fields, err: failed.error }, "a request failed here");
    } else if (status >= 500 && shed === undefined) this.#logger.warn(fields, "a request failed");
    else this.#logger.debug(fields, "a request was answered");
  }
}

const idBytes = 9;
/** Of `requestsMax`: so many under way make a late event loop an overloaded one. */
const busyShare = 1 / 16;

/** Ids of requests: of this run, and counted. */
function ids(environment: Environment): () => string {
  const run = Buffer.from(environment.randomBytes(idBytes)).toString("base64url");
  let count = 0;
  return () => `${run}-${(count++).toString(36)}`;
}

const closing = { retryAfterMs: 1_000, headers: { connection: "close" } };

const isRead = ({ method }: IncomingMessage): boolean => method === "GET" || method === "HEAD";

/** Few and bounded: patterns, never what stands in their places. */
const routeName = ({ route }: Exchange): string => route?.pattern.text ?? "none";

type Refused = Extract<Admission, { kind: "refused" }>;

function refused({ status, retryAfterMs = 1_000 }: Refused): Refusal {
  switch (status) {
    case 401:
      return new Refusal("TRELLIS_UNAUTHENTICATED", "no token, or one that is not known", {
        headers: { "www-authenticate": "Bearer" },
      });
    case 403:
      return new Refusal("TRELLIS_FORBIDDEN", "requests from pages of other sites are refused");
    case 429:
      return new Refusal("TRELLIS_TOO_MANY_REQUESTS", "too many requests", { retryAfterMs });
    case 503:
      return new Refusal("TRELLIS_UNAVAILABLE", "who asks cannot be told now", { retryAfterMs });
  }
}
