/**
 * The way to an etcd cluster: its JSON gateway over HTTP, one host at a time, the next one when that fails.
 * A request that was sent and not answered may be done later; only what surely was not is told as
 * `LockUnavailableError`. Each request ends its connection at the deadline: proposals that were handed to
 * a leader that died hang for seconds, and would fill any pool.
 */
import { type Dispatcher, Pool } from "undici";
import type { Environment } from "../../../environment.ts";
import { LockUnavailableError } from "../../../errors.ts";
import { field, type Json } from "./wire.ts";

/** What this needs of a client: a `Pool`, `Client` or `BalancedPool` of undici. */
export type EtcdClient = Pick<Dispatcher, "request">;

/** What was asked was refused, and surely not done. */
export interface GatewayRefusal {
  readonly refused: string;
}

/** How to reach the cluster. */
export interface GatewayOptions {
  readonly hosts: readonly string[];
  readonly client: EtcdClient | undefined;
  readonly environment: Environment;
  readonly answerMs: number;
}

/** Of one host, for requests; each watch has one more. */
const connectionsMax = 32;
/** Codes of gRPC with which nothing was done: bad arguments, not found, no permission, no room, out of range … */
const surelyRefused: ReadonlySet<unknown> = new Set([3, 5, 7, 8, 9, 11, 12, 16]);

interface Host {
  readonly name: string;
  readonly requests: EtcdClient;
  readonly watches: EtcdClient;
  /** What ends the watches there. */
  readonly watching: Set<AbortController>;
}

/** Asks etcd. */
export class Gateway {
  readonly #environment: Environment;
  readonly #answerMs: number;
  readonly #hosts: readonly Host[];
  readonly #pools: Pool[] = [];
  #at = 0;

  constructor({ hosts, client, environment, answerMs }: GatewayOptions) {
    this.#environment = environment;
    this.#answerMs = answerMs;
    this.#hosts = client
      ? [{ name: "client", requests: client, watches: client, watching: new Set() }]
      : hosts.map((host) => {
          const origin = host.includes("://") ? host : `http://${host}`;
          const name = new URL(origin).host;
          const [requests, watches] = [this.#pool(origin, connectionsMax), this.#pool(origin)];
          return { name, requests, watches, watching: new Set<AbortController>() };
        });
    // Clients of one service spread over its hosts.
    this.#at = (environment.randomBytes(1)[0] ?? 0) % this.#hosts.length;
  }

  /** The answer, or why it was refused. @throws LockUnavailableError when surely nothing was done, another error if it may have been. */
  async ask(path: string, body: Json): Promise<unknown> {
    const text = JSON.stringify(body);
    const late = new AbortController();
    const why = `etcd did not answer within ${this.#answerMs} ms`;
    const timer = this.#environment.schedule(this.#answerMs, () => late.abort(new Error(why)));
    try {
      for (let tries = 1; ; tries++) {
        const host = this.#host();
        try {
          return await this.#ask(host, path, text, late.signal);
        } catch (error) {
          this.#leave(host);
          if (!(error instanceof LockUnavailableError) || tries >= this.#hosts.length) throw error;
        }
      }
    } finally {
      timer.cancel();
    }
  }

  /** Hands every message of a stream to `receive`, until that returns true, the stream ends or `signal` aborts. */
  async watch(
    body: Json,
    receive: (message: unknown) => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const host = this.#host();
    const stopping = new AbortController();
    host.watching.add(stopping);
    const either = AbortSignal.any([signal, stopping.signal]);
    const late = this.#environment.schedule(this.#answerMs, () => stopping.abort());
    try {
      const { body: stream } = await host.watches.request({
        ...{ path: "/v3/watch", method: "POST", body: JSON.stringify(body) },
        ...{ headers: jsonHeaders, signal: either, headersTimeout: 0, bodyTimeout: 0 },
      });
      let rest = "";
      for await (const chunk of stream.setEncoding("utf8")) {
        late.cancel();
        const lines = (rest + String(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (receive(field(JSON.parse(line), "result"))) return;
      }
    } catch (error) {
      if (!signal.aborted) this.#leave(host);
      throw error;
    } finally {
      late.cancel();
      host.watching.delete(stopping);
      stopping.abort();
    }
  }

  /** Ends all connections that are ours. */
  async close(): Promise<void> {
    await Promise.all(this.#pools.map((pool) => pool.destroy()));
  }

  #pool(origin: string, connections?: number): Pool {
    const pool = new Pool(origin, {
      ...{ connections: connections ?? null, pipelining: 1 },
      ...{ connect: { timeout: this.#answerMs }, keepAliveTimeout: 30_000 },
    });
    this.#pools.push(pool);
    return pool;
  }

  #host(): Host {
    const host = this.#hosts[this.#at];
    if (!host) throw new LockUnavailableError("no host of etcd was named", { backend: "etcd" });
    return host;
  }

  /** Who asks next asks another one, and who watches watches there: what stands still ends no stream. */
  #leave(host: Host): void {
    for (const watching of host.watching) watching.abort();
    if (this.#hosts[this.#at] === host) this.#at = (this.#at + 1) % this.#hosts.length;
  }

  async #ask(host: Host, path: string, body: string, signal: AbortSignal): Promise<unknown> {
    let status = 0;
    let text = "";
    try {
      const options = { path, method: "POST", body, headers: jsonHeaders, signal } as const;
      const reply = await host.requests.request(options);
      status = reply.statusCode;
      text = await reply.body.text();
    } catch (error) {
      if (!isUnsent(error)) throw error;
      const why = `etcd at ${host.name} cannot be reached; nothing was sent`;
      throw new LockUnavailableError(why, { backend: "etcd", cause: error });
    }
    if (status === 200) return JSON.parse(text);
    const [code, message] = refusalOf(text);
    const said = `etcd at ${host.name} answered ${status}: ${message}`;
    if (surelyRefused.has(code)) return { refused: said } satisfies GatewayRefusal;
    throw code === undefined && status === 404
      ? new LockUnavailableError(`${said}; etcd 3.4 or newer is needed`, { backend: "etcd" })
      : new Error(said);
  }
}

/** Whether an answer is a refusal. */
export const isRefusal = (answer: unknown): answer is GatewayRefusal =>
  typeof field(answer, "refused") === "string";

const jsonHeaders = { "content-type": "application/json" };

function refusalOf(text: string): readonly [code: unknown, message: string] {
  try {
    const json: unknown = JSON.parse(text);
    return [field(json, "code"), String(field(json, "message") ?? field(json, "error"))];
  } catch {
    return [undefined, text.slice(0, 200).trim()];
  }
}

/** There was no connection to send it on. */
const isUnsent = (error: unknown): boolean =>
  field(error, "code") === "UND_ERR_CONNECT_TIMEOUT" ||
  (error instanceof Error && "syscall" in error && error.syscall === "connect") ||
  (error instanceof AggregateError && error.errors.every(isUnsent));
