/** What a service in any language would do: HTTPS with a token, one connection kept for many requests. */
import { readFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { Agent, request } from "node:https";

/** What was answered. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** From the request to the end of the answer, in ms. */
  readonly tookMs: number;
}

/** One request. */
export interface Asked {
  readonly method?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Where a client asks, and as whom. */
export interface ClientOptions {
  readonly port: number;
  readonly ca: string;
  readonly token: string;
  /** An answer that takes longer is given up, in ms. */
  readonly timeoutMs: number;
  readonly connectionsMax: number;
  /** Of the client, where one is asked for. */
  readonly pair?: { readonly certFile: string; readonly keyFile: string };
}

/** A client of one peer. */
export class HttpClient {
  readonly #options: ClientOptions;
  readonly #agent: Agent;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { ca, connectionsMax, pair } = options;
    const certificate = pair && {
      cert: readFileSync(pair.certFile),
      key: readFileSync(pair.keyFile),
    };
    this.#agent = new Agent({ ca, keepAlive: true, maxSockets: connectionsMax, ...certificate });
  }

  /** @throws Error when no answer came: whether it was done is then unknown */
  ask(path: string, { method = "GET", body, headers = {} }: Asked = {}): Promise<Answer> {
    const { port, token, timeoutMs } = this.#options;
    const startMs = performance.now();
    return new Promise((resolve, reject) => {
      const asking = request({
        ...{ host: "127.0.0.1", port, path, method, agent: this.#agent, timeout: timeoutMs },
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
      });
      asking.on("timeout", () => asking.destroy(new Error(`no answer within ${timeoutMs} ms`)));
      asking.on("error", reject);
      asking.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => (text += part));
        response.on("error", reject);
        response.on("end", () => {
          const { statusCode: status = 0, headers: answered } = response;
          resolve({ status, headers: answered, text, tookMs: performance.now() - startMs });
        });
      });
      asking.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}
