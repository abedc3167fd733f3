/** A collector of OpenTelemetry, as far as a test needs one: takes OTLP/HTTP in JSON, and keeps the spans. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it came. */
export interface CollectedSpan {
  readonly name: string;
  /** The tracer's name: here the replica's. */
  readonly scope: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Absent: its trace begins with it. */
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly {
    readonly key: string;
    readonly value: Readonly<Record<string, unknown>>;
  }[];
}

interface Export {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly Omit<CollectedSpan, "scope">[];
    }[];
  }[];
}

/** One on loopback. */
export class Collector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  /** All that was sent, as it was sent. */
  text = "";
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  static async start(): Promise<Collector> {
    const collector = new Collector();
    await new Promise<void>((resolve) => {
      collector.#server.listen(0, "127.0.0.1", resolve);
    });
    return collector;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/v1/traces`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const status = await this.#take(request);
    response.writeHead(status, { "content-type": "application/json" }).end("{}");
  }

  async #take(request: IncomingMessage): Promise<number> {
    if (request.url !== "/v1/traces" || request.headers["content-type"] !== "application/json") {
      return 415;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString("utf8");
    this.text += text;
    const { resourceSpans } = JSON.parse(text) as Export;
    for (const { scopeSpans } of resourceSpans) {
      for (const { scope, spans } of scopeSpans) {
        this.spans.push(...spans.map((span) => ({ ...span, scope: scope.name })));
      }
    }
    return 200;
  }
}
